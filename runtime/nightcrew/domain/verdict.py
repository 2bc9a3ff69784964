"""What follows the end of an attempt: success, another attempt later, a requeue, or the end of the execution.

One pure decision over two facts: how the body ended, and whether the runtime had asked it to end (and why).
Sources: semantics.md, An execution's states (cancel, retry, interruptions, time limits).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from nightcrew.domain.execution import Execution, ExecutionError
from nightcrew.domain.lifecycle.execution import CRASH_LOOP_LIMIT, ExecutionEvent
from nightcrew.domain.retry import ResolvedRetry, backoff, may_retry


class End(Enum):
    """How the body ended."""

    RETURNED = auto()
    RAISED = auto()
    CANCELLED = auto()
    INTERRUPTED = auto()
    NOT_LOADED = auto()
    ABANDONED = auto()
    SUSPENDED = auto()
    """All that it does is to wait."""
    PARKED = auto()
    """Its code does not fit its journal, or does not load though it has one."""
    CONTINUED = auto()
    """It goes on as a new execution."""


class Asked(Enum):
    """What the runtime had asked of it."""

    NOTHING = auto()
    CANCEL = auto()
    TIME_OUT = auto()
    SILENT = auto()
    """It gave no sign of life within its `heartbeat_timeout`."""
    DEADLINE = auto()
    DRAIN = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written: the execution's event, and what goes with it.

    Attributes:
        event: SUCCEED, FAIL, RETRY_LATER, TIME_OUT, INTERRUPT, WAIT or CANCELLED.
        error: Kept with every event but SUCCEED and CANCELLED.
        next_attempt_time: Only with RETRY_LATER.
        unclean: The interruption counts towards crash_loop.
        agent_fault: A reason for the agent to go to ERROR (`program_load`, `unkillable`), or "".
        counts: Whether it is a failure for `pause_after_failures`.
    """

    event: ExecutionEvent
    error: ExecutionError | None = None
    next_attempt_time: datetime | None = None
    unclean: bool = False
    agent_fault: str = ""
    counts: bool = False


TIMEOUT: Final = "timeout"
TOTAL_TIMEOUT: Final = "total_timeout"
DRAINED: Final = ExecutionError(type="drained", message="the runtime drained")


_OUT_OF_TIME: Final = {
    Asked.TIME_OUT: ExecutionError(type=TIMEOUT, message="the attempt outran its timeout"),
    Asked.SILENT: ExecutionError(
        type="heartbeat_timeout", message="no ctx.heartbeat came within heartbeat_timeout"
    ),
}


def decide(  # noqa: C901, PLR0911 - one table, read from the top
    execution: Execution,
    end: End,
    asked: Asked,
    *,
    error: ExecutionError | None,
    policy: ResolvedRetry,
    now: datetime,
    random: float,
    rest: float = 0.0,
) -> Verdict:
    """The verdict on an attempt.

    Args:
        execution: As it was claimed.
        end: How the body ended.
        asked: What the runtime had asked; a body that returns all the same has succeeded (its effects happened).
        error: What it raised, or why it was interrupted or could not be loaded.
        policy: The agent's retry policy.
        now: The wall clock.
        random: In [0, 1), for the back-off's jitter.
        rest: Seconds that another attempt has to wait at least: whom it asks has said so.
    """
    why = error or ExecutionError(type=end.name.lower(), message="")
    # Ends that are a fault of the agent itself, whatever becomes of the execution.
    fault = "program_load" if end is End.NOT_LOADED else "unkillable" if end is End.ABANDONED else ""
    match end, asked:
        case End.RETURNED | End.CONTINUED, _:
            return Verdict(ExecutionEvent.SUCCEED)
        case End.SUSPENDED, _ if asked is not Asked.DEADLINE:
            return Verdict(ExecutionEvent.WAIT)
        case End.PARKED, _ if asked not in {Asked.DEADLINE, Asked.CANCEL}:
            return Verdict(ExecutionEvent.WAIT, why)
        case _, Asked.CANCEL:
            return Verdict(ExecutionEvent.CANCELLED, agent_fault=fault)
        case End.NOT_LOADED, _:
            return Verdict(ExecutionEvent.FAIL, why, agent_fault=fault, counts=True)
        case _, Asked.DRAIN:
            # Whatever it ends with, it is our doing: it is handed back as it was, and the process ends anyway.
            return Verdict(ExecutionEvent.INTERRUPT, DRAINED)
        case _, Asked.DEADLINE:
            late = _late(end, ExecutionError(type=TOTAL_TIMEOUT, message="total_timeout has passed"))
            return Verdict(ExecutionEvent.TIME_OUT, late, agent_fault=fault, counts=True)
        case _, Asked.TIME_OUT | Asked.SILENT:
            event = ExecutionEvent.TIME_OUT
            why = _late(end, _OUT_OF_TIME[asked])
        case End.INTERRUPTED, _:
            return interruption(execution, why)
        case _:
            event = ExecutionEvent.FAIL
    if fault or not may_retry(policy, execution.attempt, why):
        return Verdict(event, why, agent_fault=fault, counts=True)
    at = now + max(backoff(policy, execution.attempt, random), timedelta(seconds=rest))
    if execution.deadline is not None and at >= execution.deadline:
        return Verdict(event, why, counts=True)
    return Verdict(ExecutionEvent.RETRY_LATER, why, next_attempt_time=at)


def interruption(execution: Execution, error: ExecutionError) -> Verdict:
    """The verdict on an unclean interruption: once more, or `crash_loop` from the fifth in a row."""
    if execution.unclean + 1 < CRASH_LOOP_LIMIT:
        return Verdict(ExecutionEvent.INTERRUPT, error, unclean=True)
    message = (
        f"interrupted {execution.unclean + 1} times in a row; the last time: {error.message or error.type}"
    )
    crash = ExecutionError(type="crash_loop", message=message, retryable=False)
    return Verdict(ExecutionEvent.FAIL, crash, unclean=True, counts=True)


def _late(end: End, error: ExecutionError) -> ExecutionError:
    if end is not End.INTERRUPTED:
        return error
    return ExecutionError(
        type=error.type, message=f"{error.message}; it did not end by itself and was killed"
    )
