"""An execution as the runtime keeps it: one run of an agent's program, with its attempts and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Wait


class ExecutionState(StrEnum):
    """Where an execution stands (semantics.md, An execution's states)."""

    QUEUED = "STATE_QUEUED"
    RUNNING = "STATE_RUNNING"
    WAITING = "STATE_WAITING"
    RETRYING = "STATE_RETRYING"
    SUCCEEDED = "STATE_SUCCEEDED"
    FAILED = "STATE_FAILED"
    CANCELLED = "STATE_CANCELLED"
    TIMED_OUT = "STATE_TIMED_OUT"

    @property
    def final(self) -> bool:
        """Whether it has ended for ever."""
        return self in FINAL


FINAL: Final = frozenset(
    {ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED, ExecutionState.TIMED_OUT}
)


class TriggerKind(StrEnum):
    """What made an execution."""

    MANUAL = "KIND_MANUAL"
    SCHEDULE = "KIND_SCHEDULE"
    WEBHOOK = "KIND_WEBHOOK"
    EVENT = "KIND_EVENT"
    BACKFILL = "KIND_BACKFILL"
    RESIDENT = "KIND_RESIDENT"
    RETRY = "KIND_RETRY"
    CALL = "KIND_CALL"


BY_PEOPLE: Final = frozenset({TriggerKind.MANUAL, TriggerKind.RETRY, TriggerKind.BACKFILL})
"""What people asked for starts also while the agent is PAUSED or in ERROR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRef:
    """What made an execution, and for which moment.

    Attributes:
        event_sequence: The event that it was made for; 0 if it was made for none.
        root_sequence: The first event of the chain that the event belongs to.
        depth: How many executions deep in its chain it stands, from 1; 0 outside of chains.
    """

    kind: TriggerKind
    trigger_id: str = ""
    nominal_time: datetime | None = None
    event_id: str = ""
    cause_execution_id: str = ""
    event_sequence: int = 0
    root_sequence: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionError:
    """Why an execution, or an attempt of it, failed.

    `type` is the exception's class name or one of the runtime's own codes (`crash_loop`, `program_load`,
    `worker_lost`, `timeout`, `result_not_json`, `unkillable`…).
    """

    type: str
    message: str
    traceback: str = ""
    retryable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution. JSON texts (`input`, `result`) are kept as text and parsed only where they are used.

    `lease` counts entries into RUNNING: every write for a run is guarded by it. `started` is true once it
    has entered RUNNING: from then on it is a run and keeps its place. `interruptions` counts all, `unclean`
    those in a row that were no drain. `deadline` is creation + total_timeout. `steps` counts the entries of its
    journal. `resume` says that this is, or will be, the one run after a cancel. `wait` is set where it is read to be
    shown, while it is WAITING; so is `progress`, once its program has said any.
    """

    id: str
    agent_id: str
    agent_generation: int
    state: ExecutionState
    trigger: TriggerRef
    create_time: datetime
    input: str = "{}"
    attempt: int = 0
    lease: int = 0
    started: bool = False
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None
    error: ExecutionError | None = None
    next_attempt_time: datetime | None = None
    deadline: datetime | None = None
    interruptions: int = 0
    unclean: int = 0
    cancel_requested: bool = False
    cancel_reason: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    steps: int = 0
    resume: bool = False
    wait: Wait | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How full an agent is.

    Attributes:
        running: RUNNING, WAITING and RETRYING ones.
        requeued: QUEUED ones that have started before; they keep their place.
        queued: QUEUED ones that never started.
    """

    running: int
    requeued: int
    queued: int

    @property
    def places(self) -> int:
        """How many places under max_concurrency are taken."""
        return self.running + self.requeued

    @property
    def nothing(self) -> bool:
        """Whether the agent does nothing, and has nothing to do."""
        return not (self.running or self.requeued or self.queued)
