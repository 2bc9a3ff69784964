"""`/api/openapi.json`: one document of all that is served over HTTP, from what each room says of its own routes."""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nightcrew.gateway.web import events, hooks, signals
from nightcrew.gateway.web.problems import problems
from nightcrew.gateway.web.rest import openapi as rest

PATH: Final = "/api/openapi.json"
_JSON: Final = "application/json"


def routes() -> list[Route]:
    """The one route."""

    async def show(_request: Request) -> Response:
        return JSONResponse(document())

    return [Route(PATH, show, methods=["GET"])]


@cache
def document() -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightcrew",
            "version": version("nightcrew"),
            "summary": "Background agents: started, stopped, triggered and looked at.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {**rest.paths(), **hooks.PATHS, **events.PATHS, **signals.PATHS, **_own_paths()},
        "components": {"schemas": rest.components()},
    }


def _own_paths() -> dict[str, Any]:
    return {
        "/healthz": _get("Whether the process answers.", _object()),
        "/readyz": _get(
            "Whether it takes work: its store can be read, and it does not drain.", _object(), 503
        ),
        "/metrics": {
            "get": {
                "tags": ["Runtime"],
                "summary": "Figures for Prometheus.",
                "responses": {
                    "200": {"description": "Done.", "content": {"text/plain": {"schema": {"type": "string"}}}}
                },
            }
        },
        PATH: _get("This document.", _object()),
    }


def _get(summary: str, schema: dict[str, Any], *refusals: int) -> dict[str, Any]:
    content = {_JSON: {"schema": schema}}
    return {
        "get": {
            "tags": ["Runtime"],
            "summary": summary,
            "responses": {"200": {"description": "Done.", "content": content}, **problems(*refusals)},
        }
    }


def _object() -> dict[str, Any]:
    return {"type": "object"}
