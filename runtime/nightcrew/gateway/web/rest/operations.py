"""Every operation of REST, once: routes are made of it, and so is what OpenAPI says of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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

CREATE: Final[TypeAdapter[Any]] = TypeAdapter(AnyCreate)
UPDATE: Final[TypeAdapter[Any]] = TypeAdapter(AgentUpdate)
INPUT: Final[TypeAdapter[Any]] = TypeAdapter(InputConfig | None)
AGENTS: Final[TypeAdapter[Any]] = TypeAdapter(list[AgentRead])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        method: GET, POST, PATCH or DELETE.
        path: Under the prefix, with `{agent_id}` and `{execution_id}`.
        handle: What it does; its docstring is the operation's description.
        answer: The model of its answer; None where there is none (204).
        status: The status when it succeeds.
        body: The model of its body, if it takes one.
        body_required: Whether there must be one.
        query: The model of its query, if it takes one.
        problems: Statuses of refusals besides those that every operation has.
    """

    method: str
    path: str
    handle: Handle
    answer: TypeAdapter[Any] | None
    status: int = 200
    body: TypeAdapter[Any] | None = None
    body_required: bool = False
    query: type[Given] | None = None
    problems: tuple[int, ...] = ()


_THIS: Final = "/{agent_id}"

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="",
        handle=BackgroundAgents.create,
        answer=TypeAdapter(AgentRead),
        status=201,
        body=CREATE,
        body_required=True,
        problems=(404,),
    ),
    Operation(method="GET", path="", handle=BackgroundAgents.list, answer=AGENTS, query=ListAgents),
    Operation(
        method="GET",
        path=_THIS,
        handle=BackgroundAgents.get,
        answer=TypeAdapter(AgentRead),
        problems=(404,),
    ),
    Operation(
        method="PATCH",
        path=_THIS,
        handle=BackgroundAgents.update,
        answer=TypeAdapter(AgentRead),
        body=UPDATE,
        body_required=True,
        problems=(404, 409),
    ),
    Operation(
        method="DELETE",
        path=_THIS,
        handle=BackgroundAgents.delete,
        answer=None,
        status=204,
        problems=(404,),
    ),
    Operation(
        method="POST",
        path=f"{_THIS}/start",
        handle=BackgroundAgents.start,
        answer=TypeAdapter(Started),
        problems=(404, 409),
    ),
    Operation(
        method="POST",
        path=f"{_THIS}/stop",
        handle=BackgroundAgents.stop,
        answer=TypeAdapter(Stopped),
        problems=(404,),
    ),
    Operation(
        method="POST",
        path=f"{_THIS}/pause",
        handle=BackgroundAgents.pause,
        answer=TypeAdapter(Paused),
        problems=(404, 409),
    ),
    Operation(
        method="POST",
        path=f"{_THIS}/resume",
        handle=BackgroundAgents.resume,
        answer=TypeAdapter(Resumed),
        problems=(404, 409),
    ),
    Operation(
        method="POST",
        path=f"{_THIS}/trigger",
        handle=BackgroundAgents.trigger,
        answer=TypeAdapter(Triggered),
        body=INPUT,
        query=TriggerQuery,
        problems=(404, 409, 429),
    ),
    Operation(
        method="GET",
        path=f"{_THIS}/status",
        handle=BackgroundAgents.status,
        answer=TypeAdapter(AgentState),
        problems=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_THIS}/executions",
        handle=BackgroundAgents.executions,
        answer=TypeAdapter(ExecutionList),
        query=ListExecutions,
        problems=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_THIS}/executions/{{execution_id}}",
        handle=BackgroundAgents.execution,
        answer=TypeAdapter(ExecutionRead),
        problems=(404,),
    ),
)
