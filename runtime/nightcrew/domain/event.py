"""The event log's rows (CloudEvents), and the runtime's own event types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState

OWN_PREFIX: Final = "nightcrew."
AGENT_CREATED: Final = "nightcrew.agent.created"
AGENT_UPDATED: Final = "nightcrew.agent.updated"
AGENT_DELETED: Final = "nightcrew.agent.deleted"
AGENT_STARTED: Final = "nightcrew.agent.started"
AGENT_PAUSED: Final = "nightcrew.agent.paused"
AGENT_RESUMED: Final = "nightcrew.agent.resumed"
AGENT_STOPPING: Final = "nightcrew.agent.stopping"
AGENT_STOPPED: Final = "nightcrew.agent.stopped"
AGENT_FAILED: Final = "nightcrew.agent.failed"
AGENT_RESTARTED: Final = "nightcrew.agent.restarted"
FIRE_MISSED: Final = "nightcrew.fire.missed"
BACKFILL_STARTED: Final = "nightcrew.backfill.started"
BACKFILL_PROGRESS: Final = "nightcrew.backfill.progress"
BACKFILL_ENDED: Final = "nightcrew.backfill.ended"
DELIVERY_FAILED: Final = "nightcrew.delivery.failed"
SOURCE_REFUSED: Final = "nightcrew.source.refused"

EXECUTION_EVENTS: Final[Mapping[ExecutionState, str]] = {
    ExecutionState.QUEUED: "nightcrew.execution.queued",
    ExecutionState.RUNNING: "nightcrew.execution.started",
    ExecutionState.WAITING: "nightcrew.execution.waiting",
    ExecutionState.RETRYING: "nightcrew.execution.retrying",
    ExecutionState.SUCCEEDED: "nightcrew.execution.succeeded",
    ExecutionState.FAILED: "nightcrew.execution.failed",
    ExecutionState.CANCELLED: "nightcrew.execution.cancelled",
    ExecutionState.TIMED_OUT: "nightcrew.execution.timed_out",
}

AGENT_EVENTS: Final[Mapping[AgentState, str]] = {
    AgentState.ACTIVE: AGENT_STARTED,
    AgentState.PAUSED: AGENT_PAUSED,
    AgentState.STOPPING: AGENT_STOPPING,
    AgentState.STOPPED: AGENT_STOPPED,
    AgentState.ERROR: AGENT_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be appended; `data` is JSON text. The store gives it its sequence.

    An empty `id` is one of the runtime's own: its id is derived from its sequence.
    """

    type: str
    source: str
    time: datetime
    data: str = "{}"
    id: str = ""
    subject: str = ""
    agent_id: str = ""
    execution_id: str = ""
    cause_sequence: int = 0
    actor: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(NewEvent):
    """An event as it stands in the log; sequences grow without ever being used twice."""

    sequence: int


def outbound_source(hook: str) -> str:
    """The CloudEvents source of an outbound hook."""
    return f"/outbound/{hook}"


def agent_source(agent_id: str) -> str:
    """The CloudEvents source of an agent."""
    return f"/agents/{agent_id}"
