"""`/signals/{token}`: a page that asks whoever follows the link, and the POST that answers, once."""

import html
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from nightcrew.domain.errors import FailedPrecondition, InvalidArgument
from nightcrew.domain.signal_url import GONE
from nightcrew.domain.values import decode, encode
from nightcrew.domain.webhook.content import MAX_BODY
from nightcrew.gateway.web.body import read_body
from nightcrew.gateway.web.problems import problems
from nightcrew.services.use_cases import UseCases

PATH: Final = "/signals/{token}"
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
_FIELDS: Final = 100
# Of its own: the form may be sent, nothing else may happen on the page.
_POLICY: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
}
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1.5rem}}small{{color:#666}}</style>
<h1>{title}</h1>{body}</html>"""
_ASK: Final = """<p>{message}</p><form method="post"><button>{signal}</button></form>
<p><small>Asked by the agent {agent}. This link can be used once.</small></p>"""

_TOKEN: Final = [{"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}]

PATHS: Final[dict[str, Any]] = {
    PATH: {
        "get": {
            "tags": ["Signals"],
            "parameters": _TOKEN,
            "summary": "A page that asks for the signal; it uses nothing up.",
            "responses": {
                "200": {"description": "What is asked.", "content": {"text/html": {}}},
                **problems(404, 410, 503),
            },
        },
        "post": {
            "tags": ["Signals"],
            "parameters": _TOKEN,
            "summary": "Gives the signal, once; the same again is answered as the first time.",
            "requestBody": {"required": False, "content": {JSON: {}, FORM: {}}},
            "responses": {
                "202": {"description": "The signal is on disk.", "content": {JSON: {}, "text/html": {}}},
                **problems(400, 404, 408, 409, 410, 413, 415, 503),
            },
        },
    }
}
"""What OpenAPI says of it."""


def routes(use_cases: UseCases) -> list[Route]:
    """The one route."""
    urls = use_cases.signal_urls

    async def ask(request: Request) -> Response:
        question = await _or_gone(urls.look(request.path_params["token"]))
        if question.used:
            return _page("It has been answered", "<p>This link has been used.</p>")
        message = question.message or f"May {question.agent_id} go on?"
        body = _ASK.format(
            message=html.escape(message),
            signal=html.escape(question.signal),
            agent=html.escape(question.agent_id),
        )
        return _page("Your answer is asked for", body)

    async def answer(request: Request) -> Response:
        payload, empty, by_form = _payload_of(request, await read_body(request, MAX_BODY))
        execution_id = await _or_gone(urls.use(request.path_params["token"], payload, empty=empty))
        if by_form:
            return _page("Thank you", "<p>Your answer has been taken.</p>", status=202)
        return Response(encode({"execution_id": execution_id}), status_code=202, media_type=JSON)

    async def serve(request: Request) -> Response:
        return await (answer if request.method == "POST" else ask)(request)

    # One route: of two for one path a refusal names the methods of the first.
    return [Route(PATH, serve, methods=["GET", "POST"])]


async def _or_gone(asked: Awaitable[Any]) -> Any:
    try:
        return await asked
    except FailedPrecondition as error:
        if error.code in GONE:
            raise HTTPException(410, error.message) from None
        raise


def _payload_of(request: Request, body: bytes) -> tuple[Any, bool, bool]:
    """What was sent, whether that is nothing, and whether a page's form sent it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        fields = _read(lambda: parse_qsl(body.decode(), strict_parsing=bool(body), max_num_fields=_FIELDS))
        return (dict(fields) or None), not fields, True
    if not body:
        return None, True, False
    if kind and kind != JSON and not kind.endswith("+json"):
        raise HTTPException(415, f"the content type must be {JSON} or {FORM}, not {kind[:100]!r}")
    return _read(lambda: decode(body.decode())), False, False


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, RecursionError) as error:
        raise InvalidArgument.of("body", f"can't be read: {error}") from None


def _page(title: str, body: str, *, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=title, body=body), status, _POLICY)
