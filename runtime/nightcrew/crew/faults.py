"""Taking an agent to ERROR, and back when the fault has cleared by itself."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.commits import After
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import TABLE, AgentEvent
from nightcrew.ports.store import Transaction

SELF_CLEARING: Final = frozenset({"program_load", "source_missing"})
"""Reasons that end by themselves when the program loads again (semantics.md, An agent's states)."""
_FAILED: Final = (ExecutionState.FAILED, ExecutionState.TIMED_OUT)
LOADS_AGAIN: Final = "its program loads again"


def fail_agent(tx: Transaction, after: After, agent_id: str, *, reason: str, now: datetime) -> None:
    """Takes an agent to ERROR where the table allows it; one that is stopped has nothing to fail."""
    agent = tx.agents.get(agent_id)
    if agent is not None and AgentEvent.FAIL in TABLE[agent.state]:
        move_agent(tx, after, agent, AgentEvent.FAIL, now=now, reason=reason)


def clear_fault(tx: Transaction, after: After, agent_id: str, *, now: datetime) -> None:
    """Takes an agent out of an ERROR whose reason is gone: back to what people had left it in."""
    agent = tx.agents.get(agent_id)
    if agent is None or agent.state is not AgentState.ERROR or agent.state_reason not in SELF_CLEARING:
        return
    come_back(tx, after, agent, now=now, reason=LOADS_AGAIN)


def come_back(tx: Transaction, after: After, agent: Agent, *, now: datetime, reason: str) -> None:
    """Takes an agent from ERROR to the state that people had left it in."""
    resumed = move_agent(tx, after, agent, AgentEvent.RESUME, now=now, reason=reason)
    if agent.was_paused:
        move_agent(tx, after, resumed, AgentEvent.PAUSE, now=now, reason=reason)


def count_outcome(
    tx: Transaction, after: After, agent: Agent, state: ExecutionState, *, fault: str = "", now: datetime
) -> Agent:
    """Counts failed executions in a row, and takes the agent to ERROR where a rule says so.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        agent: Whose execution has ended.
        state: How it ended; one that goes on, or was cancelled, counts nothing.
        fault: A reason for ERROR whatever the count is, or "".
        now: The wall clock.
    """
    reason = fault
    if state is ExecutionState.SUCCEEDED and agent.consecutive_failures:
        tx.agents.set_failures(agent.id, 0)
        agent = replace(agent, consecutive_failures=0)
    elif state in _FAILED:
        agent = replace(agent, consecutive_failures=agent.consecutive_failures + 1)
        tx.agents.set_failures(agent.id, agent.consecutive_failures)
        limit = agent.spec.execution.pause_after_failures
        if limit and agent.consecutive_failures >= limit:
            reason = reason or "too_many_failures"
    if reason and AgentEvent.FAIL in TABLE[agent.state]:
        return move_agent(tx, after, agent, AgentEvent.FAIL, now=now, reason=reason)
    return agent
