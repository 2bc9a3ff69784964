"""REST as routes: a request is read and checked, handed to its operation, and the outcome written."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightcrew.domain.errors import InvalidArgument
from nightcrew.gateway.web.body import read_body
from nightcrew.gateway.web.rest.handlers import BackgroundAgents, Call
from nightcrew.gateway.web.rest.operations import OPERATIONS, PREFIX, Operation
from nightcrew.gateway.web.rest.problems import JSON, missing_body, unfit, wrong_fields
from nightcrew.ports.clock import Ids
from nightcrew.services.once import Request as Asked
from nightcrew.services.use_cases import UseCases

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
MAX_BODY: Final = 2 * 1024 * 1024
"""An input is at most 1 MiB, and may be written with room."""
KEY: Final = "Idempotency-Key"
"""The header under which a repeated call gets the first answer: contract.md's request_id."""


def routes(use_cases: UseCases, *, ids: Ids) -> list[Route]:
    """The routes of `/api/v1/background_agents`, each with and without a slash at its end."""
    agents = BackgroundAgents(use_cases, ids=ids)
    by_path: dict[str, dict[str, Endpoint]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = _endpoint(agents, operation)
    # One route a path: it answers a method that it does not have with all that it has.
    return [
        Route(PREFIX + path + slash, _by_method(endpoints), methods=list(endpoints))
        for path, endpoints in by_path.items()
        for slash in ("", "/")
    ]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _endpoint(agents: BackgroundAgents, operation: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        raw = await read_body(request, MAX_BODY)
        try:
            body = _body(operation, raw)
        except ValidationError as error:
            return unfit(error, "body")
        except LookupError:
            return missing_body()
        try:
            query = operation.query and operation.query.model_validate(dict(request.query_params))
        except ValidationError as error:
            return unfit(error, "query")
        try:
            answer = await operation.handle(
                agents,
                Call(
                    request=_asked(operation, request, raw),
                    hooks=f"{request.base_url}hooks",
                    agent_id=request.path_params.get("agent_id", ""),
                    execution_id=request.path_params.get("execution_id", ""),
                    query=query,
                    body=body,
                ),
            )
        except InvalidArgument as error:
            return wrong_fields(error)
        if answer is None:
            return Response(status_code=operation.status)
        if isinstance(answer, Response):
            return answer
        return Response(answer.model_dump_json(), status_code=operation.status, media_type=JSON)

    return endpoint


def _body(operation: Operation, raw: bytes) -> object:
    """The model of the body.

    Raises:
        LookupError: There is none and there must be one.
        ValidationError: It does not fit.
        HTTPException: 400, it is no JSON.
    """
    if operation.body is None:
        return None
    if not raw:
        if not operation.optional:
            raise LookupError
        return None
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    return operation.body.validate_python(value)


def _asked(operation: Operation, request: Request, raw: bytes) -> Asked:
    method = f"REST/{operation.handle.__name__}"
    key = request.headers.get(KEY, "")
    if not key:
        return Asked(method=method)
    digest = hashlib.sha256(
        f"{request.url.path.rstrip('/')}?{request.url.query}\n".encode() + raw
    ).hexdigest()
    return Asked(method=method, request_id=key, digest=digest)
