"""The end of an attempt, written: its final state or its next turn, its result, memory, logs and event.

One transaction, and the agent's next run is claimed in it, so that a backlog costs one commit a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nightcrew.crew.agent_moves import end_if_empty, move_agent
from nightcrew.crew.claims import NOTHING, Claim, claim
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, ExecutionState
from nightcrew.domain.lifecycle.agent import TABLE, AgentEvent
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.verdict import Verdict
from nightcrew.ports.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What is to be written about a run that has ended."""

    run: Claimed
    verdict: Verdict
    result: str | None = None
    memory: str | None = None
    logs: Sequence[NewLogEntry] = ()


def settle(tx: Transaction, after: After, settled: Settled, *, now: datetime) -> Claim:
    """Writes the end of a run and claims what may start in its place. A lost lease writes nothing."""
    execution, verdict = settled.run.execution, settled.verdict
    state = step(ExecutionState.RUNNING, verdict.event, execution_id=execution.id).state
    if settled.logs and tx.logs.append(execution.id, settled.logs, lease=execution.lease):
        after.logs = True
    agent = tx.agents.get(execution.agent_id)
    if not _write(tx, after, settled, state, now=now):
        return claim(tx, after, agent, now=now) if agent else NOTHING
    if state.final:
        after.ended.append(execution.id)
    if settled.memory is not None and state is ExecutionState.SUCCEEDED:
        tx.agents.set_memory(execution.agent_id, settled.memory)
    after.append(
        tx,
        execution_fact(
            execution,
            state,
            now=now,
            result=settled.result,
            error=verdict.error,
            reason=execution.cancel_reason,
        ),
    )
    if agent is None:
        return NOTHING
    agent = _count(tx, after, agent, verdict, state, now=now)
    if agent.state is AgentState.STOPPING:
        _end_stopping(tx, after, agent, execution, state, now=now)
        return NOTHING
    return claim(tx, after, agent, now=now, freed=state.final)


def _write(tx: Transaction, after: After, settled: Settled, state: ExecutionState, *, now: datetime) -> bool:
    execution, verdict = settled.run.execution, settled.verdict
    match verdict.event:
        case ExecutionEvent.RETRY_LATER if verdict.next_attempt_time and verdict.error:
            after.timers = True
            return tx.executions.retry_later(
                execution.id,
                lease=execution.lease,
                next_attempt_time=verdict.next_attempt_time,
                error=verdict.error,
            )
        case ExecutionEvent.INTERRUPT if verdict.error:
            return tx.executions.requeue(
                execution.id, lease=execution.lease, unclean=verdict.unclean, error=verdict.error
            )
        case _:
            return tx.executions.finish(
                execution.id,
                lease=execution.lease,
                state=state,
                now=now,
                result=settled.result,
                error=verdict.error,
            )


def _count(
    tx: Transaction,
    after: After,
    agent: Agent,
    verdict: Verdict,
    state: ExecutionState,
    *,
    now: datetime,
) -> Agent:
    """Counts failures in a row, and takes the agent to ERROR where a rule says so."""
    if state is ExecutionState.SUCCEEDED and agent.consecutive_failures:
        tx.agents.set_failures(agent.id, 0)
        agent = replace(agent, consecutive_failures=0)
    elif verdict.counts:
        agent = replace(agent, consecutive_failures=agent.consecutive_failures + 1)
        tx.agents.set_failures(agent.id, agent.consecutive_failures)
    reason = verdict.agent_fault
    limit = agent.spec.execution.pause_after_failures
    if not reason and verdict.counts and limit and agent.consecutive_failures >= limit:
        reason = "too_many_failures"
    if reason and AgentEvent.FAIL in TABLE[agent.state]:
        return move_agent(tx, after, agent, AgentEvent.FAIL, now=now, reason=reason)
    return agent


def _end_stopping(
    tx: Transaction, after: After, agent: Agent, execution: Execution, state: ExecutionState, *, now: datetime
) -> None:
    """A run of a stopping agent that would go on later (a retry, a requeue) ends CANCELLED instead."""
    if not state.final and tx.executions.end_idle(execution.id, state=ExecutionState.CANCELLED, now=now):
        after.ended.append(execution.id)
        after.append(
            tx, execution_fact(execution, ExecutionState.CANCELLED, now=now, reason="the agent was stopped")
        )
    end_if_empty(tx, after, agent, now=now)
