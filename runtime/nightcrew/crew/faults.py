"""Taking an agent to ERROR, and back when the fault has cleared by itself."""

from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.commits import After
from nightcrew.domain.agent import AgentState
from nightcrew.domain.lifecycle.agent import TABLE, AgentEvent
from nightcrew.ports.store import Transaction

SELF_CLEARING: Final = frozenset({"program_load", "source_missing"})
"""Reasons that end by themselves when the program loads again (semantics.md, An agent's states)."""


def fail_agent(tx: Transaction, after: After, agent_id: str, *, reason: str, now: datetime) -> None:
    """Takes an agent to ERROR where the table allows it; one that is stopped has nothing to fail."""
    agent = tx.agents.get(agent_id)
    if agent is not None and AgentEvent.FAIL in TABLE[agent.state]:
        move_agent(tx, after, agent, AgentEvent.FAIL, now=now, reason=reason)


def clear_fault(tx: Transaction, after: After, agent_id: str, *, now: datetime) -> None:
    """Takes an agent out of an ERROR whose reason is gone."""
    agent = tx.agents.get(agent_id)
    if agent is not None and agent.state is AgentState.ERROR and agent.state_reason in SELF_CLEARING:
        move_agent(tx, after, agent, AgentEvent.RESUME, now=now, reason="its program loads again")
