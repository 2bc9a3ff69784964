"""The runtime: its figures, and the components of its supervision tree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nightcrew.client.models.delivery import OutboundHook


class ComponentKind(StrEnum):
    """What a component is for."""

    UNSPECIFIED = "KIND_UNSPECIFIED"
    SUPERVISOR = "KIND_SUPERVISOR"
    WORKER = "KIND_WORKER"


class ComponentState(StrEnum):
    """Where a component stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    STARTING = "STATE_STARTING"
    RUNNING = "STATE_RUNNING"
    RESTARTING = "STATE_RESTARTING"
    STOPPING = "STATE_STOPPING"
    STOPPED = "STATE_STOPPED"
    FAILED = "STATE_FAILED"


class RestartMode(StrEnum):
    """When a component is restarted."""

    UNSPECIFIED = "MODE_UNSPECIFIED"
    PERMANENT = "MODE_PERMANENT"
    TRANSIENT = "MODE_TRANSIENT"
    TEMPORARY = "MODE_TEMPORARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The runtime's figures; `agent_counts` is by the state's name (`STATE_ACTIVE`)."""

    version: str
    start_time: datetime | None
    store: str
    agent_counts: Mapping[str, int] = field(default_factory=dict)
    running: int = 0
    queued: int = 0
    sequence: int = 0
    draining: bool = False
    outbound: Sequence[OutboundHook] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One node of the supervision tree, by its path (`root/agents/digest`)."""

    id: str
    parent_id: str
    kind: ComponentKind
    state: ComponentState
    restarts: int = 0
    start_time: datetime | None = None
    restart_mode: RestartMode = RestartMode.UNSPECIFIED
    last_error: str = ""
    children_count: int = 0
