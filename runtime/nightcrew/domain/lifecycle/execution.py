"""The execution's state machine as one table: which event leads where, what follows, what is refused.

Source of the rules: semantics.md, An execution's states. A final state never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nightcrew.domain.errors import FailedPrecondition
from nightcrew.domain.execution import ExecutionState


class ExecutionEvent(StrEnum):
    """What can happen to an execution."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL = "fail"
    RETRY_LATER = "retry_later"
    TIME_OUT = "time_out"
    INTERRUPT = "interrupt"
    WAIT = "wait"
    WAKE = "wake"
    CANCEL = "cancel"
    """People (or a policy) want it ended."""
    CANCEL_JOURNALED = "cancel_journaled"
    """The same, of one that has a journal: it resumes once, to be raised into where that ends."""
    CANCELLED = "cancelled"
    """The cancelled body has ended."""
    CRASH_LOOP = "crash_loop"
    """It was interrupted too often, or its program can't be loaded."""
    RETRY = "retry"
    """People want it once more, as a new execution."""
    SIGNAL = "signal"


class ExecutionEffect(StrEnum):
    """What must follow."""

    RAISE_INTO = "raise_into"
    """Raise the cancellation into the running body; kill it after the grace."""
    RESUME = "resume"
    """Run it once more, to be raised into where its journal ends."""
    MARK_CANCEL = "mark_cancel"
    """Set the durable cancel mark."""
    NEW_EXECUTION = "new_execution"
    """Create a new execution that names this one as its cause."""
    FREE_PLACE = "free_place"
    """A place under max_concurrency is free."""
    KEEP_SIGNAL = "keep_signal"
    """Keep the signal for the wait that asks for it."""


@dataclass(frozen=True, slots=True)
class ExecutionStep:
    """Where an event leads; `changed` is false for one that stays."""

    state: ExecutionState
    effects: tuple[ExecutionEffect, ...] = ()
    changed: bool = True


_S = ExecutionState
_E = ExecutionEvent
_FX = ExecutionEffect
_FREE: Final = (_FX.FREE_PLACE,)
_SIGNAL: Final = (_FX.KEEP_SIGNAL,)
_RESUME: Final = (_FX.MARK_CANCEL, _FX.RESUME)
_FINAL_ROW: Final[Mapping[ExecutionEvent, tuple[ExecutionState | None, tuple[ExecutionEffect, ...]]]] = {
    _E.CANCEL: (None, ()),
    _E.CANCEL_JOURNALED: (None, ()),
    _E.RETRY: (None, (_FX.NEW_EXECUTION,)),
}

TABLE: Final[
    Mapping[
        ExecutionState, Mapping[ExecutionEvent, tuple[ExecutionState | None, tuple[ExecutionEffect, ...]]]
    ]
] = {
    _S.QUEUED: {
        _E.CLAIM: (_S.RUNNING, ()),
        _E.CANCEL: (_S.CANCELLED, (_FX.MARK_CANCEL, _FX.FREE_PLACE)),
        _E.CANCEL_JOURNALED: (None, _RESUME),
        _E.CRASH_LOOP: (_S.FAILED, _FREE),
        _E.TIME_OUT: (_S.TIMED_OUT, _FREE),
        _E.SIGNAL: (None, _SIGNAL),
    },
    _S.RUNNING: {
        _E.SUCCEED: (_S.SUCCEEDED, _FREE),
        _E.FAIL: (_S.FAILED, _FREE),
        _E.RETRY_LATER: (_S.RETRYING, ()),
        _E.TIME_OUT: (_S.TIMED_OUT, _FREE),
        _E.INTERRUPT: (_S.QUEUED, ()),
        _E.WAIT: (_S.WAITING, ()),
        _E.CANCEL: (None, (_FX.MARK_CANCEL, _FX.RAISE_INTO)),
        _E.CANCEL_JOURNALED: (None, (_FX.MARK_CANCEL, _FX.RAISE_INTO)),
        _E.CANCELLED: (_S.CANCELLED, _FREE),
        _E.SIGNAL: (None, _SIGNAL),
    },
    _S.WAITING: {
        _E.WAKE: (_S.QUEUED, ()),
        _E.CANCEL: (_S.CANCELLED, (_FX.MARK_CANCEL, _FX.FREE_PLACE)),
        _E.CANCEL_JOURNALED: (_S.QUEUED, _RESUME),
        _E.TIME_OUT: (_S.TIMED_OUT, _FREE),
        _E.SIGNAL: (None, _SIGNAL),
    },
    _S.RETRYING: {
        _E.WAKE: (_S.QUEUED, ()),
        _E.CANCEL: (_S.CANCELLED, (_FX.MARK_CANCEL, _FX.FREE_PLACE)),
        _E.CANCEL_JOURNALED: (_S.QUEUED, _RESUME),
        _E.TIME_OUT: (_S.TIMED_OUT, _FREE),
        _E.SIGNAL: (None, _SIGNAL),
    },
    _S.SUCCEEDED: _FINAL_ROW,
    _S.FAILED: _FINAL_ROW,
    _S.CANCELLED: _FINAL_ROW,
    _S.TIMED_OUT: _FINAL_ROW,
}
"""state → event → (new state or None for 'stays', effects); an event that is missing is refused."""

CRASH_LOOP_OWN_WORKER: Final = 3
"""From so many unclean interruptions in a row a run gets a worker of its own."""
CRASH_LOOP_LIMIT: Final = 5
"""So many unclean interruptions in a row fail it with `crash_loop`."""


def allowed_states(event: ExecutionEvent) -> tuple[ExecutionState, ...]:
    """The states in which an event is not refused, in the table's order."""
    return tuple(state for state, row in TABLE.items() if event in row)


def step(state: ExecutionState, event: ExecutionEvent, *, execution_id: str = "") -> ExecutionStep:
    """Where `event` leads from `state`.

    Raises:
        FailedPrecondition: The table refuses it; names the state and the allowed ones.
    """
    row = TABLE[state]
    if event not in row:
        allowed = allowed_states(event)
        names = " or ".join(one.value.removeprefix("STATE_") for one in allowed)
        raise FailedPrecondition(
            f"execution {execution_id!r} is {state.value.removeprefix('STATE_')}; {event.value} needs {names}",
            subject=f"executions/{execution_id}",
            state=state.value,
            allowed_states=tuple(one.value for one in allowed),
            code="execution_state",
        )
    target, effects = row[event]
    return ExecutionStep(target or state, effects, changed=target is not None)
