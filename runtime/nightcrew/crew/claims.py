"""Claiming work: QUEUED executions become runs, as many as the agent's places allow, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import end_if_empty
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.gates import claim_gated
from nightcrew.crew.residents import occupancy
from nightcrew.crew.starting import started
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.policies import max_concurrency
from nightcrew.ports.store import Transaction

BATCH: Final = 100
"""How many runs one claim starts at most; an agent without a bound claims again when they have started. A claim of
thousands would hold up the writer, and then the loop as they all start."""


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
        return _claim_ending(tx, after, agent, now=now)
    if not after.claiming:
        return NOTHING
    if agent.spec.resident is not None and (mine := _claim_resident(tx, after, agent, now=now)):
        return Claim(mine, more=True)
    if agent.spec.gated:
        runs = claim_gated(tx, after, agent, limit=BATCH, now=now)
        return Claim(runs, more=len(runs) >= BATCH, places=max_concurrency(agent.spec))
    bound = max_concurrency(agent.spec)
    room = BATCH
    if bound and not (freed and bound == 1):
        taken = occupancy(tx, agent, cap=1)
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
    runs = started(tx, after, agent, executions, now=now)
    return Claim(runs, more=len(runs) == BATCH, places=bound)


def _claim_ending(tx: Transaction, after: After, agent: Agent, *, now: datetime) -> Claim:
    """Of an agent that stops: what was cancelled in the middle of its journal runs once more, to clean up."""
    end_if_empty(tx, after, agent, now=now)
    if agent.state is AgentState.STOPPED or not after.claiming:
        return NOTHING
    resumed = tx.executions.claim(
        agent.id, limit=BATCH, people_only=True, now=now, generation=agent.generation, resumes_only=True
    )
    return Claim(started(tx, after, agent, resumed, now=now), more=len(resumed) == BATCH)


def _claim_resident(tx: Transaction, after: After, agent: Agent, *, now: datetime) -> tuple[Claimed, ...]:
    """The agent's resident, if it is QUEUED: it needs no place."""
    mine = tx.residents.open(agent.id)
    if mine is None or mine.state is not ExecutionState.QUEUED:
        return ()
    claimed = tx.executions.claim(
        agent.id, limit=1, people_only=False, now=now, generation=agent.generation, only=mine.id
    )
    return started(tx, after, agent, claimed, now=now)
