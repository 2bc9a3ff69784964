"""Errors as HTTP answers: `{"detail": …}` with the status that gateway/status.py's table has for them."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nightcrew.domain.errors import NightcrewError, ResourceExhausted, Unavailable
from nightcrew.gateway.status import Faults, http_status

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]

RETRY_AFTER: Final = 1
"""Seconds after which it is worth trying again when nothing better is known."""


def headers_of(error: NightcrewError) -> dict[str, str]:
    """The headers that tell what else is known of an error."""
    if isinstance(error, ResourceExhausted):
        return {"Retry-After": str(max(1, math.ceil(error.retry_delay.total_seconds())))}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(RETRY_AFTER)}
    return {}


def answer(error: NightcrewError) -> Response:
    """The answer that tells an error of the domain."""
    return JSONResponse({"detail": error.message}, http_status(error), headers_of(error))


async def _known(_request: Request, error: Exception) -> Response:
    if not isinstance(error, NightcrewError):
        raise TypeError(f"{type(error).__name__} is no error of the domain") from error
    return answer(error)


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(f"{type(error).__name__} is no error of HTTP") from error
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


HANDLERS: Final[Mapping[type[Exception], Handler]] = {NightcrewError: _known, HTTPException: _http}
"""What Starlette is given: everything that is foreseen."""


class LastResort:
    """The outermost layer: what nobody foresaw is a 500 with a reference, and a traceback goes to the log alone."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on."""
        started = False
        # Where an app is named, Starlette's routes raise their 404 and 405 for the handlers, else they answer text.
        scope["app"] = self

        async def noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            known = self._faults.known(error, where=f"{scope.get('method', '')} {scope.get('path', '')}")
            if started:
                raise
            await answer(known)(scope, receive, send)
