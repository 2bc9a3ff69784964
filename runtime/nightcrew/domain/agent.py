"""An agent as the runtime keeps it: its spec, its state, and the counters that decide about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nightcrew.domain.spec.agent import AgentSpec


class AgentState(StrEnum):
    """Where an agent stands (semantics.md, An agent's states)."""

    STOPPED = "STATE_STOPPED"
    ACTIVE = "STATE_ACTIVE"
    PAUSED = "STATE_PAUSED"
    STOPPING = "STATE_STOPPING"
    ERROR = "STATE_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One agent.

    `generation` counts changes of the spec, `revision` every change that people can see (it is the etag).
    `delete_requested` is a committed intent: stop, then delete. `was_paused` is kept in ERROR: when its fault
    clears by itself the agent comes back as people had left it.
    """

    id: str
    spec: AgentSpec
    create_time: datetime
    update_time: datetime
    state_time: datetime
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    state: AgentState = AgentState.STOPPED
    state_reason: str = ""
    generation: int = 1
    revision: int = 1
    consecutive_failures: int = 0
    delete_requested: bool = False
    was_paused: bool = False

    @property
    def etag(self) -> str:
        """The revision as the opaque text that callers hand back."""
        return f"r{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSource:
    """Which file of `nightcrew up` an agent came from.

    `digest` is of the spec as the file gave it when it was last applied. `deleted` marks an agent that a
    person deleted by hand: it stays away until its digest changes.
    """

    agent_id: str
    path: str
    digest: str
    deleted: bool = False
