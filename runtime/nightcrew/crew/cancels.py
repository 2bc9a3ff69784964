"""Cancelling executions, durably: what never ran ends at once, what runs gets a committed mark."""

from datetime import datetime
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.facts import execution_fact
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerKind
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.lifecycle.execution import ExecutionEffect, ExecutionEvent, step
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
    following = step(execution.state, ExecutionEvent.CANCEL, execution_id=execution.id)
    if following.changed:
        end_idle(tx, after, execution, ExecutionState.CANCELLED, now=now, reason=reason, actor=actor)
        after.work.append(execution.agent_id)
    elif ExecutionEffect.MARK_CANCEL in following.effects:
        tx.executions.mark_cancel(execution.id, reason=reason)
        if kill:
            after.kills.append(execution.id)
        else:
            after.cancels.append(execution.agent_id)


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
    after.ended.append(execution.id)
    after.append(tx, execution_fact(execution, state, now=now, error=error, reason=reason, actor=actor))
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
