"""An execution: one run of an agent's program, with its attempts and its outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from nightcrew.client.errors import NightcrewClientError


class ExecutionState(StrEnum):
    """Where an execution stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
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
        return self in _FINAL


_FINAL: Final = frozenset(
    {ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.CANCELLED, ExecutionState.TIMED_OUT}
)


class TriggerKind(StrEnum):
    """What made an execution."""

    UNSPECIFIED = "KIND_UNSPECIFIED"
    MANUAL = "KIND_MANUAL"
    SCHEDULE = "KIND_SCHEDULE"
    WEBHOOK = "KIND_WEBHOOK"
    EVENT = "KIND_EVENT"
    BACKFILL = "KIND_BACKFILL"
    RESIDENT = "KIND_RESIDENT"
    RETRY = "KIND_RETRY"
    CALL = "KIND_CALL"


class WaitKind(StrEnum):
    """What a WAITING execution waits for."""

    UNSPECIFIED = "KIND_UNSPECIFIED"
    SLEEP = "KIND_SLEEP"
    SIGNAL = "KIND_SIGNAL"
    EVENT = "KIND_EVENT"
    CALL = "KIND_CALL"
    CODE = "KIND_CODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRef:
    """What made an execution, and for which moment."""

    kind: TriggerKind = TriggerKind.UNSPECIFIED
    trigger_id: str = ""
    nominal_time: datetime | None = None
    event_id: str = ""
    cause_execution_id: str = ""
    event_sequence: int = 0
    chain_depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionError:
    """Why an attempt, or the whole execution, failed: an exception's class name or one of the runtime's codes."""

    type: str
    message: str
    traceback: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionWait:
    """What a WAITING execution waits for, and until when."""

    kind: WaitKind
    until: datetime | None = None
    signal: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionProgress:
    """How far an execution has got, as its program last said; a total of 0 is not known."""

    done: float
    total: float
    message: str
    time: datetime
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of an agent's program. Times are aware, in UTC; `result` and `input` are JSON values."""

    id: str
    agent_id: str
    state: ExecutionState
    agent_generation: int = 0
    attempt: int = 0
    trigger: TriggerRef = field(default_factory=TriggerRef)
    input: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    error: ExecutionError | None = None
    priority: int = 0
    next_attempt_time: datetime | None = None
    interruptions: int = 0
    cancel_requested: bool = False
    cancel_reason: str = ""
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    wait: ExecutionWait | None = None
    progress: ExecutionProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSnapshot:
    """The execution as it was when a watch began."""

    execution: Execution
    last: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRequest:
    """One execution to make, for `agents.trigger_many`; `request_id` is made when it is left out."""

    agent_id: str
    input: Mapping[str, Any] | None = None
    labels: Mapping[str, str] | None = None
    priority: int = 0
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerResult:
    """What became of one TriggerRequest: the execution, or the error that a call for it alone would raise."""

    execution: Execution | None = None
    error: NightcrewClientError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFailure:
    """An execution to which it could not be done, and why."""

    execution_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOutcome:
    """What came of something that was done to many executions; `failures` has the first 20."""

    matched: int
    done: int = 0
    failed: int = 0
    failures: tuple[BulkFailure, ...] = ()
