"""Handing back runs that nobody owns any more: an interruption, or the end that a cancel or a stop had asked for."""

from datetime import datetime

from nightcrew.crew.agent_moves import end_if_empty
from nightcrew.crew.cancels import cancel_open
from nightcrew.crew.commits import After
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.faults import count_outcome
from nightcrew.crew.residents import resident_ended
from nightcrew.crew.waits import tell_caller
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerKind
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.resident import resident_verdict
from nightcrew.domain.verdict import interruption
from nightcrew.ports.store import Transaction


def hand_back(
    tx: Transaction, after: After, execution: Execution, *, error: ExecutionError, now: datetime
) -> None:
    """Requeues a RUNNING execution that lost its runner, or ends it where it must not run again.

    `execution` is what was seen; what is done is decided from the row as it is now.
    """
    row = tx.executions.get(execution.id)
    if row is None or row.lease != execution.lease or row.state is not ExecutionState.RUNNING:
        return
    execution = row
    agent = tx.agents.get(execution.agent_id)
    stopping = agent is None or agent.state in {AgentState.STOPPING, AgentState.STOPPED}
    verdict = interruption(execution, error)
    resident = execution.trigger.kind is TriggerKind.RESIDENT
    if resident:
        verdict = resident_verdict(verdict)
    if execution.cancel_requested or stopping:
        if _end(tx, after, execution, ExecutionState.CANCELLED, None, now=now) and resident:
            resident_ended(tx, after, agent, ExecutionState.CANCELLED, None, now=now)
    elif verdict.event is not ExecutionEvent.INTERRUPT:
        if _end(tx, after, execution, ExecutionState.FAILED, verdict.error, now=now) and agent is not None:
            if resident:
                resident_ended(tx, after, agent, ExecutionState.FAILED, verdict.error, now=now)
            else:
                count_outcome(tx, after, agent, ExecutionState.FAILED, now=now)
    elif tx.executions.requeue(execution.id, lease=execution.lease, unclean=True, error=error):
        after.timers = after.timers or execution.deadline is not None
        after.append(
            tx, execution_fact(execution, ExecutionState.QUEUED, now=now, error=error, reason=error.type)
        )
    if stopping and agent is not None:
        end_if_empty(tx, after, agent, now=now)
    after.work.append(execution.agent_id)


def finish_stops(tx: Transaction, after: After, *, now: datetime) -> int:
    """Ends what a crash left open of STOPPING agents; returns how many agents that were."""
    agent_ids = tx.agents.ids(states=(AgentState.STOPPING,))
    for agent_id in agent_ids:
        cancel_open(tx, after, agent_id, reason="the agent was stopped", now=now)
        agent = tx.agents.get(agent_id)
        if agent is not None:
            end_if_empty(tx, after, agent, now=now)
    return len(agent_ids)


def _end(
    tx: Transaction,
    after: After,
    execution: Execution,
    state: ExecutionState,
    error: ExecutionError | None,
    *,
    now: datetime,
) -> bool:
    ended = tx.executions.finish(execution.id, lease=execution.lease, state=state, now=now, error=error)
    if ended:
        if tx.keys.some:
            tx.keys.release(execution.id)
        after.ended.append(execution.id)
        after.append(
            tx, execution_fact(execution, state, now=now, error=error, reason=execution.cancel_reason)
        )
        text = execution.cancel_reason if error is None else error.message
        tell_caller(tx, after, execution, state, now=now, error_text=text)
    return ended
