"""The ends of waits: a wait is ended where it is over, whoever runs its execution, and what slept is woken."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.event_calls import on_its_way
from nightcrew.crew.facts import execution_fact
from nightcrew.domain.cloudevent import event_text
from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind
from nightcrew.domain.step import Step, StepError, StepKind, StepState, Wait, WaitKind, wait_of
from nightcrew.domain.values import encode
from nightcrew.ports.store import Transaction
from nightcrew.programs.step_error import CALL_FAILED, TIMED_OUT, failed

_NOTHING: Final = Wait(kind=WaitKind.SLEEP, message="nothing any more")


def begin_wait(
    tx: Transaction, after: After, execution: Execution, keys: Sequence[str], *, parked: str, now: datetime
) -> None:
    """RUNNING → WAITING, for steps, or for code that fits. It goes on at once if one has ended, or it is cancelled."""
    row = tx.executions.get(execution.id)
    steps = [] if parked else tx.steps.open(execution.id)
    over = not parked and not {one.key for one in steps}.issuperset(keys)
    wait = Wait(kind=WaitKind.CODE, message=parked) if parked else wait_of(steps) or _NOTHING
    if row is None or not tx.executions.wait(execution.id, lease=execution.lease, wait=wait):
        return
    after.timers = True
    after.append(tx, execution_fact(execution, ExecutionState.WAITING, now=now, reason=wait.message))
    if row.cancel_requested:
        tx.executions.resume_cancelled(execution.id, reason=row.cancel_reason)
        _queued(tx, after, execution, now=now, reason=f"cancelled: {row.cancel_reason}")
    elif over:
        wake(tx, after, execution, now=now, reason="what it waited for is here")


def end_wait(
    tx: Transaction,
    after: After,
    execution_id: str,
    key: str,
    *,
    now: datetime,
    result: str | None = None,
    error: StepError | None = None,
    reason: str = "",
) -> bool:
    """Ends an open wait and has its execution go on; False if it was over already."""
    if not tx.steps.end(execution_id, key, now=now, result=result, error=error):
        return False
    execution = tx.executions.get(execution_id)
    if execution is None:
        return True
    if execution.state is ExecutionState.WAITING:
        wake(tx, after, execution, now=now, reason=reason)
    elif execution.state is ExecutionState.RUNNING:
        after.arrived.append(execution_id)
    return True


def wake(tx: Transaction, after: After, execution: Execution, *, now: datetime, reason: str) -> None:
    """WAITING → QUEUED: it is run again from its journal."""
    if tx.executions.wake(execution.id):
        _queued(tx, after, execution, now=now, reason=reason)


def wake_parked(tx: Transaction, after: After, *, now: datetime, agent_id: str = "") -> None:
    """What waits for code that fits (of one agent) tries again: the code may have changed.

    Its time has come, that is: the waker wakes it some at a time, since one bad deploy may have parked very many.
    """
    if tx.steps.end_parking(now, agent_id=agent_id):
        after.timers = True


def inherit(
    tx: Transaction, after: After, execution: Execution, source: str, *, before: str, now: datetime
) -> None:
    """Gives a new execution the journal that another has before a step; it may have been claimed already."""
    tx.steps.copy(source, execution.id, before=before)
    row = tx.executions.get(execution.id)
    runs = after.claimed.get(execution.agent_id, [])
    for at, run in enumerate(runs):
        if row is not None and run.execution.id == row.id:
            runs[at] = replace(run, execution=row, journal=load_journal(tx, row, now=now))


def _queued(tx: Transaction, after: After, execution: Execution, *, now: datetime, reason: str) -> None:
    after.append(tx, execution_fact(execution, ExecutionState.QUEUED, now=now, reason=reason))
    after.work.append(execution.agent_id)


def end_if_over(tx: Transaction, execution_id: str, step: Step, *, now: datetime) -> Step:
    """The step; a wait whose time is over has ended then: a sleep as it should, the others by TimeoutError."""
    over = step.state is StepState.WAITING and step.until is not None and step.until <= now
    if not over:
        return step
    error, result = None, "null"
    event = on_its_way(tx, execution_id, step) if step.kind is StepKind.EVENT else None
    if event is not None:
        result = event_text(event)
    elif step.kind is not StepKind.SLEEP:
        span = step.until - step.start_time if step.until else None
        error = failed(
            TIMED_OUT, f"{step.kind.value} {step.awaited or step.name!r} did not come within {span}"
        )
    tx.steps.end(execution_id, step.key, now=now, result=None if error else result, error=error)
    return tx.steps.get(execution_id, step.key) or step


def load_journal(tx: Transaction, execution: Execution, *, now: datetime) -> tuple[Step, ...]:
    """The journal that a run begins with; waits whose time is over have ended in it."""
    if not execution.steps:
        return ()
    return tuple(end_if_over(tx, execution.id, one, now=now) for one in tx.steps.load(execution.id))


def tell_caller(
    tx: Transaction,
    after: After,
    child: Execution,
    state: ExecutionState,
    *,
    now: datetime,
    result: str | None = None,
    error_text: str = "",
) -> None:
    """An execution that was called by another has ended: its caller's wait is over."""
    if child.trigger.kind is not TriggerKind.CALL:
        return
    for execution_id, key in tx.steps.awaiting_call(child.id):
        if state is ExecutionState.SUCCEEDED:
            end_wait(
                tx, after, execution_id, key, now=now, result=result or "null", reason="the call has ended"
            )
            continue
        how = state.value.removeprefix("STATE_")
        text = f"agent {child.agent_id!r}, execution {child.id}: {how}" + (
            f": {error_text}" if error_text else ""
        )
        end_wait(
            tx,
            after,
            execution_id,
            key,
            now=now,
            error=failed(CALL_FAILED, text),
            reason="the call has ended",
        )


def give_signal(
    tx: Transaction, after: After, execution: Execution, name: str, payload: str, *, now: datetime
) -> None:
    """Hands a signal to the wait that asks for it, or keeps it for the one that will."""
    for step in tx.steps.open(execution.id):
        waits = step.kind is StepKind.SIGNAL and step.state is StepState.WAITING and step.awaited == name
        if not waits:
            continue
        if step.until is not None and step.until <= now:
            continue  # too late: it has timed out, though nobody has looked yet
        end_wait(tx, after, execution.id, step.key, now=now, result=payload, reason=f"signal {encode(name)}")
        return
    tx.steps.keep_signal(execution.id, name, payload, now=now)
