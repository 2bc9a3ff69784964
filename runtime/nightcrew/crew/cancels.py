"""Cancelling executions, durably: what never ran ends at once, what runs gets a committed mark."""

from datetime import datetime
from typing import Final

from nightcrew.crew.commits import After, Ended
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.waits import tell_caller
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerKind
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.lifecycle.execution import ExecutionEffect, ExecutionEvent, step
from nightcrew.domain.step import StepKind
from nightcrew.ports.store import Transaction

_OF_FIRES: Final = (TriggerKind.SCHEDULE, TriggerKind.BACKFILL)


def cancel(
    tx: Transaction,
    after: After,
    execution: Execution,
    *,
    reason: str,
    now: datetime,
    actor: str = "",
    kill: bool = False,
) -> None:
    """Cancels one execution by the table; one that is final stays as it is. `kill` gives a run no grace."""
    journaled = bool(execution.steps) and not kill
    event = ExecutionEvent.CANCEL_JOURNALED if journaled else ExecutionEvent.CANCEL
    following = step(execution.state, event, execution_id=execution.id)
    if execution.steps and not execution.state.final:
        _pass_on(tx, after, execution, reason=reason, now=now, actor=actor)
    if ExecutionEffect.RESUME in following.effects:
        if tx.executions.resume_cancelled(execution.id, reason=reason):
            fact = execution_fact(
                execution, ExecutionState.QUEUED, now=now, reason=f"cancelled: {reason}", actor=actor
            )
            after.append(tx, fact)
            after.work.append(execution.agent_id)
    elif following.changed:
        end_idle(tx, after, execution, ExecutionState.CANCELLED, now=now, reason=reason, actor=actor)
        after.work.append(execution.agent_id)
    elif ExecutionEffect.MARK_CANCEL in following.effects:
        tx.executions.mark_cancel(execution.id, reason=reason)
        if kill:
            after.kills.append(execution.id)
        else:
            after.cancels.append(execution.agent_id)


def _pass_on(
    tx: Transaction, after: After, execution: Execution, *, reason: str, now: datetime, actor: str
) -> None:
    """Cancels the executions that this one has called and waits for."""
    for called in tx.steps.open(execution.id):
        child = tx.executions.get(called.awaited) if called.kind is StepKind.CALL else None
        if child is not None:
            cancel(tx, after, child, reason=f"its caller was cancelled: {reason}", now=now, actor=actor)


def cancel_open(
    tx: Transaction, after: After, agent_id: str, *, reason: str, now: datetime, actor: str = ""
) -> None:
    """Cancels every execution of an agent that is not final."""
    for execution in tx.executions.open(agent_id):
        cancel(tx, after, execution, reason=reason, now=now, actor=actor)


def end_idle(
    tx: Transaction,
    after: After,
    execution: Execution,
    state: ExecutionState,
    *,
    now: datetime,
    reason: str = "",
    actor: str = "",
    error: ExecutionError | None = None,
) -> None:
    """Ends an execution that does not run; its buffered fire, if it never started, is dropped in the ledger."""
    if state is ExecutionState.CANCELLED:
        tx.executions.mark_cancel(execution.id, reason=reason)
    if not tx.executions.end_idle(execution.id, state=state, now=now, error=error):
        return
    if tx.keys.some:
        tx.keys.release(execution.id)
    after.ended.append(execution.id)
    if execution.trigger.kind is TriggerKind.RESIDENT:
        after.residents.append(Ended(execution.agent_id))  # it was to run, and may still be wanted
    after.append(tx, execution_fact(execution, state, now=now, error=error, reason=reason, actor=actor))
    tell_caller(tx, after, execution, state, now=now, error_text=reason if error is None else error.message)
    if not execution.started:
        resolve_fire(tx, execution, FireOutcome.BUFFER_DROPPED, now=now, reason=reason)


def resolve_fire(
    tx: Transaction, execution: Execution, outcome: FireOutcome, *, now: datetime, reason: str = ""
) -> None:
    """Writes what became of the fire that an execution stands for; nothing for other kinds of work."""
    trigger = execution.trigger
    if trigger.kind not in _OF_FIRES or trigger.nominal_time is None:
        return
    fire = Fire(
        agent_id=execution.agent_id,
        trigger_id=trigger.trigger_id,
        nominal_time=trigger.nominal_time,
        last_nominal_time=trigger.nominal_time,
        actual_time=now,
        outcome=outcome,
        execution_id=execution.id,
        reason=reason,
    )
    tx.fires.resolve(execution.agent_id, trigger.trigger_id, trigger.nominal_time, fire=fire)
