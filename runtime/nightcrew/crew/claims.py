"""Claiming work: QUEUED executions become runs, as many as the agent's places allow, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import end_if_empty
from nightcrew.crew.backfills import agent_for
from nightcrew.crew.cancels import resolve_fire
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.waits import load_journal
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, ExecutionState
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.policies import max_concurrency
from nightcrew.ports.store import Transaction

BATCH: Final = 1000
"""How many runs one claim starts at most; an agent without a bound claims again when they have started."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found.

    Attributes:
        runs: What was started.
        more: Work may be left that this claim had no room for in its batch.
        places: How many runs the agent may have at once (0: no bound, or not known).
    """

    runs: tuple[Claimed, ...] = ()
    more: bool = False
    places: int = 0


NOTHING: Final = Claim()


def claim_by_id(tx: Transaction, after: After, agent_id: str, *, now: datetime) -> Claim:
    """Claims for an agent that is named; an agent that is gone has no work."""
    agent = tx.agents.get(agent_id)
    return NOTHING if agent is None else claim(tx, after, agent, now=now)


def claim(tx: Transaction, after: After, agent: Agent, *, now: datetime, freed: bool = False) -> Claim:
    """Claims what may start now: nothing when stopped or stopping, what people asked for when held.

    `freed` says that the agent's last place has just become free in this transaction: an agent of one place
    then need not be counted.
    """
    if agent.state in {AgentState.STOPPED, AgentState.STOPPING}:
        end_if_empty(tx, after, agent, now=now)
        if agent.state is AgentState.STOPPED or not after.claiming:
            return NOTHING
        # What was cancelled in the middle of its journal runs once more, to clean up.
        resumed = tx.executions.claim(
            agent.id, limit=BATCH, people_only=True, now=now, generation=agent.generation, resumes_only=True
        )
        return Claim(_started(tx, after, agent, resumed, now=now), more=len(resumed) == BATCH)
    if not after.claiming:
        return NOTHING
    bound = max_concurrency(agent.spec)
    room = BATCH
    if bound and not (freed and bound == 1):
        taken = tx.executions.occupancy(agent.id, cap=1)
        room = min(bound - taken.running, BATCH) if taken.queued or taken.requeued else 0
    elif bound:
        room = 1
    held = agent.state is not AgentState.ACTIVE
    if room <= 0:
        return Claim(places=bound)
    executions = tx.executions.claim(
        agent.id, limit=room, people_only=held, now=now, generation=agent.generation
    )
    if not executions:
        return Claim(places=bound)
    runs = _started(tx, after, agent, executions, now=now)
    return Claim(runs, more=len(runs) == BATCH, places=bound)


def _started(
    tx: Transaction, after: After, agent: Agent, executions: Sequence[Execution], *, now: datetime
) -> tuple[Claimed, ...]:
    memory = tx.agents.memory(agent.id) if max_concurrency(agent.spec) == 1 else None
    for execution in executions:
        after.append(tx, execution_fact(execution, ExecutionState.RUNNING, now=now))
        if execution.lease == 1:
            resolve_fire(tx, execution, FireOutcome.STARTED, now=now)
    return tuple(
        Claimed(one, agent_for(tx, agent, one), memory, load_journal(tx, one, now=now)) for one in executions
    )
