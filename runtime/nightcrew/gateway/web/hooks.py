"""`POST /hooks/{agent_id}/{trigger_id}`: a webhook is read whole, handed on raw, and answered when it is on disk."""

from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nightcrew.crew.bus import Signal
from nightcrew.domain.durations import parse_typed
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.execution import Execution
from nightcrew.domain.values import encode
from nightcrew.domain.webhook.content import MAX_BODY
from nightcrew.domain.webhook.headers import Headers
from nightcrew.gateway.web.body import read_body
from nightcrew.gateway.web.problems import problems
from nightcrew.services.use_cases import UseCases
from nightcrew.services.webhooks import HookCall

PATH: Final = "/hooks/{agent_id}/{trigger_id}"
WAIT: Final = "wait"
MAX_WAIT: Final = timedelta(minutes=5)
JSON: Final = "application/json"


PATHS: Final[dict[str, Any]] = {
    PATH: {
        "post": {
            "tags": ["Hooks"],
            "summary": "Has an agent run for a webhook, whose sender is verified over the raw body.",
            "parameters": [
                {"name": "agent_id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "trigger_id", "in": "path", "required": True, "schema": {"type": "string"}},
                {
                    "name": WAIT,
                    "in": "query",
                    "required": False,
                    "schema": {"type": "string", "examples": ["10s"]},
                    "description": "How long to wait for the end, at most 5m.",
                },
            ],
            "requestBody": {"required": False, "content": {"*/*": {}}},
            "responses": {
                "200": {
                    "description": "It has ended, or the sender's challenge is answered.",
                    "content": {JSON: {}},
                },
                "202": {"description": "It is on disk and will run.", "content": {JSON: {}}},
                **problems(400, 401, 404, 408, 409, 413, 429, 503),
            },
        }
    }
}
"""What OpenAPI says of it."""


def routes(use_cases: UseCases, *, closing: Signal) -> list[Route]:
    """The one route of all hooks.

    Args:
        use_cases: What is called.
        closing: Once it is poked nobody waits any longer for an end.
    """
    webhooks, executions = use_cases.webhooks, use_cases.executions

    async def receive(request: Request) -> Response:
        query = request.query_params.multi_items()
        seconds = _wait_of([value for name, value in query if name == WAIT])
        received = await webhooks.receive(
            HookCall(
                agent_id=request.path_params["agent_id"],
                trigger_id=request.path_params["trigger_id"],
                headers=Headers(request.scope["headers"]),
                body=await read_body(request, MAX_BODY),
                query=[(name, value) for name, value in query if name != WAIT],
                method=request.method,
            )
        )
        if received.challenge is not None:
            return JSONResponse({"challenge": received.challenge})
        if seconds:
            try:
                ended = await executions.wait(received.execution_id, seconds, closing=closing)
            except NotFound:
                pass  # it was answered long ago, and is kept no more
            else:
                if ended.state.final:
                    return Response(_outcome(ended), media_type=JSON)
        return Response(encode({"execution_id": received.execution_id}), status_code=202, media_type=JSON)

    return [Route(PATH, receive, methods=["POST"])]


def _wait_of(given: list[str]) -> float:
    if not given:
        return 0.0
    if len(given) > 1:
        raise InvalidArgument.of(WAIT, "is given twice; one value is right")
    try:
        wait = parse_typed(given[0])
    except ValueError as error:
        raise InvalidArgument.of(WAIT, str(error)) from None
    if wait > MAX_WAIT:
        raise InvalidArgument.of(WAIT, "must be at most 5m; watch the execution instead")
    return wait.total_seconds()


def _outcome(execution: Execution) -> str:
    """What became of it, as JSON: its result is JSON text as it is."""
    told = f'{{"execution_id":"{execution.id}","state":"{execution.state.value}"'
    if execution.error is not None:
        told += f',"error":{encode({"type": execution.error.type, "message": execution.error.message})}'
    return f'{told},"result":{execution.result or "null"}}}'
