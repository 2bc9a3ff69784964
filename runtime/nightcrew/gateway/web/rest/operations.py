"""Every operation of REST, once: routes are made of it, and so is what OpenAPI says of them."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from nightcrew.gateway.web.rest.answers import (
    AgentRead,
    AgentState,
    ExecutionList,
    ExecutionRead,
    Paused,
    Resumed,
    Started,
    Stopped,
    Triggered,
)
from nightcrew.gateway.web.rest.bodies import (
    AgentUpdate,
    AnyCreate,
    Given,
    InputConfig,
    ListAgents,
    ListExecutions,
    TriggerQuery,
)
from nightcrew.gateway.web.rest.handlers import BackgroundAgents, Call

PREFIX: Final = "/api/v1/background_agents"
Handle: TypeAlias = Callable[[BackgroundAgents, Call], Awaitable[BaseModel | Response | None]]
Adapter: TypeAlias = TypeAdapter[Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        method: GET, POST, PATCH or DELETE.
        path: Under the prefix, with `{agent_id}` and `{execution_id}`.
        handle: What it does; its docstring is the operation's summary.
        answer: What it answers; None is nothing (204).
        status: The status when it succeeds.
        body: What its body must be, if it takes one.
        optional: Whether there may be no body.
        query: The model of its query, if it takes one.
        problems: Statuses of refusals besides those that every operation has.
    """

    method: str
    path: str
    handle: Handle
    answer: Adapter | None
    _: KW_ONLY
    status: int = 200
    body: Adapter | None = None
    optional: bool = False
    query: type[Given] | None = None
    problems: tuple[int, ...] = (404,)


_Do: TypeAlias = BackgroundAgents
_AGENT: Final[Adapter] = TypeAdapter(AgentRead)
_AGENTS: Final[Adapter] = TypeAdapter(list[AgentRead])
_CREATE: Final[Adapter] = TypeAdapter(AnyCreate)
_UPDATE: Final[Adapter] = TypeAdapter(AgentUpdate)
_INPUT: Final[Adapter] = TypeAdapter(InputConfig | None)
_RUNS: Final = "/{agent_id}/executions"
_MOVES: Final = (404, 409)

OPERATIONS: Final = (
    Operation("POST", "", _Do.create, _AGENT, status=201, body=_CREATE),
    Operation("GET", "", _Do.list, _AGENTS, query=ListAgents, problems=()),
    Operation("GET", "/{agent_id}", _Do.get, _AGENT),
    Operation("PATCH", "/{agent_id}", _Do.update, _AGENT, body=_UPDATE, problems=_MOVES),
    Operation("DELETE", "/{agent_id}", _Do.delete, None, status=204),
    Operation("POST", "/{agent_id}/start", _Do.start, TypeAdapter(Started), problems=_MOVES),
    Operation("POST", "/{agent_id}/stop", _Do.stop, TypeAdapter(Stopped)),
    Operation("POST", "/{agent_id}/pause", _Do.pause, TypeAdapter(Paused), problems=_MOVES),
    Operation("POST", "/{agent_id}/resume", _Do.resume, TypeAdapter(Resumed), problems=_MOVES),
    Operation(
        "POST",
        "/{agent_id}/trigger",
        _Do.trigger,
        TypeAdapter(Triggered),
        body=_INPUT,
        optional=True,
        query=TriggerQuery,
        problems=(*_MOVES, 429),
    ),
    Operation("GET", "/{agent_id}/status", _Do.status, TypeAdapter(AgentState)),
    Operation("GET", _RUNS, _Do.executions, TypeAdapter(ExecutionList), query=ListExecutions),
    Operation("GET", f"{_RUNS}/{{execution_id}}", _Do.execution, TypeAdapter(ExecutionRead)),
)
