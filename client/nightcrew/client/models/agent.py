"""An agent: what people wrote about it, where it stands, and what it is doing now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from nightcrew.client.errors import NightcrewClientError
from nightcrew.client.models.execution import ExecutionState


class AgentState(StrEnum):
    """Where an agent stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    STOPPED = "STATE_STOPPED"
    ACTIVE = "STATE_ACTIVE"
    PAUSED = "STATE_PAUSED"
    STOPPING = "STATE_STOPPING"
    ERROR = "STATE_ERROR"


class ChangeAction(StrEnum):
    """What `apply` does to one agent."""

    UNSPECIFIED = "ACTION_UNSPECIFIED"
    CREATED = "ACTION_CREATED"
    UPDATED = "ACTION_UPDATED"
    DELETED = "ACTION_DELETED"
    UNCHANGED = "ACTION_UNCHANGED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextFire:
    """When a schedule trigger fires next."""

    trigger_id: str
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExecution:
    """The newest execution of an agent that has ended."""

    id: str
    state: ExecutionState
    end_time: datetime | None


class Per(StrEnum):
    """A window of time, in UTC."""

    UNSPECIFIED = "PER_UNSPECIFIED"
    HOUR = "PER_HOUR"
    DAY = "PER_DAY"
    MONTH = "PER_MONTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUsage:
    """How far an agent is with one of its limits: `used` of `max` in the window that ends then."""

    name: str
    per: Per
    used: float
    max: float
    window_end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """What an agent is doing now; `running_count` counts every execution that holds a place."""

    running_count: int = 0
    queued_count: int = 0
    next_fires: tuple[NextFire, ...] = ()
    last_execution: LastExecution | None = None
    restarts: int = 0
    consecutive_failures: int = 0
    overdue_count: int = 0
    filter_errors: int = 0
    last_filter_error: str = ""
    limits: tuple[LimitUsage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent. `spec` is nightcrew.v1.AgentSpec as protobuf's JSON, with its field names in snake_case."""

    id: str
    state: AgentState
    spec: dict[str, Any]
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    state_reason: str = ""
    state_time: datetime | None = None
    generation: int = 0
    etag: str = ""
    create_time: datetime | None = None
    update_time: datetime | None = None
    status: AgentStatus = field(default_factory=AgentStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCondition:
    """What `status` answers: an agent's state and what it is doing, without its spec."""

    state: AgentState
    state_reason: str
    status: AgentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """What `apply` did, or would do, to one agent; `diff` is a unified diff of its YAML."""

    id: str
    action: ChangeAction
    diff: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleResult:
    """What became of one agent that a selector found: the agent as it is now, or why it was refused."""

    id: str
    agent: Agent | None = None
    error: NightcrewClientError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSnapshot:
    """An agent as it was when a watch began; None in the sole item of a snapshot that found no agent."""

    agent: Agent | None
    last: bool = False
