"""`/healthz`: the process answers. `/readyz`: it takes work, and its store can be read and written."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nightcrew.domain.errors import NightcrewError
from nightcrew.services.use_cases import UseCases


def routes(use_cases: UseCases) -> list[Route]:
    """Both routes."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            info = await use_cases.runtime.info()
        except NightcrewError as error:
            return JSONResponse({"status": "store_unavailable", "detail": error.message}, 503)
        if use_cases.runtime.damage:
            return JSONResponse({"status": "store_damaged", "detail": use_cases.runtime.damage}, 503)
        if info.draining:
            return JSONResponse({"status": "draining", "detail": "the runtime drains"}, 503)
        return JSONResponse({"status": "ready", "version": info.version})

    return [Route("/healthz", alive, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]
