"""Claiming work of agents that share limits: one execution at a time, each when its pools and its key have room.

All of its pools or none: what lacks room in one takes a place in no other, and stands in that one's line. A free place
goes to the agent that has stood there longest, one execution, then it stands at the end again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.budget import count_start, forbidding, hold
from nightcrew.crew.commits import After, Claimed
from nightcrew.crew.faults import come_back
from nightcrew.crew.keys import next_of
from nightcrew.crew.residents import occupancy
from nightcrew.crew.starting import started
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.durations import to_micros
from nightcrew.domain.execution import Execution
from nightcrew.domain.lifecycle.agent import TABLE, AgentEvent
from nightcrew.domain.policies import max_concurrency
from nightcrew.domain.pool import Pool, Room, pay, room
from nightcrew.ports.store import Transaction

POOL_MISSING: Final = "pool_missing"
"""Why an agent is in ERROR that takes from a pool which nightcrew.toml has no more; it clears when the pool is back."""


def claim_gated(
    tx: Transaction, after: After, agent: Agent, *, limit: int, now: datetime
) -> tuple[Claimed, ...]:
    """Claims what may start now of an agent whose pools or key decide, and serves the lines that it stands in."""
    # What was cancelled in the middle of its journal runs once more to clean up: nobody has to wait for that.
    cleaning = tx.executions.claim(
        agent.id,
        limit=limit,
        people_only=True,
        now=now,
        generation=agent.generation,
        resumes_only=True,
    )
    runs = started(tx, after, agent, cleaning, now=now)
    pools = agent.spec.execution.pools
    if any(tx.pools.first_in_line(name) is not None for name in pools):
        _line_up(tx, agent)
    else:
        runs += _admit(tx, after, agent, limit=limit, now=now)
    serve_lines(tx, after, pools, now=now)
    return runs


def serve_lines(tx: Transaction, after: After, names: Sequence[str], *, now: datetime) -> None:
    """Gives the room in these pools to the agents that wait for it, in turn; notes if they wait for time."""
    for name in names:
        while (agent_id := tx.pools.first_in_line(name)) is not None:
            pool = after.pools.get(name)
            if pool is not None:
                found = _room(tx, pool, now=now)
                if not found.free:
                    after.gates = after.gates or found.again is not None
                    break
            agent = tx.agents.get(agent_id)
            if agent is None or name not in agent.spec.execution.pools or not _may_run(agent):
                tx.pools.leave_line(agent_id)
                after.work.append(agent_id)  # it has changed: it looks for itself
                continue
            runs = _admit(tx, after, agent, limit=1, now=now)
            if runs:
                after.claimed.setdefault(agent_id, []).extend(runs)
            if runs or tx.pools.first_in_line(name) == agent_id:
                tx.pools.leave_line(agent_id)
            if runs:
                _line_up(tx, agent)


def next_free(tx: Transaction, after: After, name: str, *, now: datetime) -> int | None:
    """When the pool's rate lets the next one start, in microseconds since 1970; None where no time is awaited."""
    pool = after.pools.get(name)
    return None if pool is None else _room(tx, pool, now=now).again


def give_back(tx: Transaction, after: After, run: Claimed, *, now: datetime) -> None:
    """A run has left its host: its places in pools are others'."""
    tx.pools.give_back(run.execution.id)
    if after.claiming:
        serve_lines(tx, after, run.agent.spec.execution.pools, now=now)


def _admit(tx: Transaction, after: After, agent: Agent, *, limit: int, now: datetime) -> tuple[Claimed, ...]:
    """Starts up to `limit`, while the agent has places; where a pool lacks room the agent stands in its line."""
    bound = max_concurrency(agent.spec)
    taken = occupancy(tx, agent, cap=1)
    if not (taken.queued or taken.requeued):
        tx.pools.leave_line(agent.id)
        return ()
    begun: list[Execution] = []
    over = forbidding(tx, agent, now=now)
    for _ in range(min(bound - taken.running, limit) if bound else limit):
        lacking = _lacking(tx, after, agent, now=now)
        if lacking is None:
            return started(tx, after, agent, begun, now=now)
        if lacking:
            tx.pools.stand_in_line(agent.id, lacking)
            break
        execution = next_of(tx, agent, fresh=over is None, now=now)
        if execution is None:
            tx.pools.leave_line(agent.id)
            if over is not None and tx.executions.occupancy(agent.id, cap=1).queued:
                hold(tx, after, agent, *over, now=now)
            break
        _take(tx, after, agent, execution, now=now)
        begun.append(execution)
        if execution.lease == 1 and agent.spec.limits is not None:
            count_start(tx, agent, now=now)
            over = forbidding(tx, agent, now=now)
    return started(tx, after, agent, begun, now=now)


def _line_up(tx: Transaction, agent: Agent) -> None:
    """Has an agent that may have more to start stand at the end of a line; if it has not, its turn passes."""
    pools = agent.spec.execution.pools
    taken = occupancy(tx, agent, cap=1)
    bound = max_concurrency(agent.spec)
    if pools and (taken.queued or taken.requeued) and not (bound and taken.running >= bound):
        tx.pools.stand_in_line(agent.id, pools[0])


def _lacking(tx: Transaction, after: After, agent: Agent, *, now: datetime) -> str | None:
    """The first of an agent's pools that has no room; empty if all have. One that is not known is a fault: None."""
    for name in agent.spec.execution.pools:
        pool = after.pools.get(name)
        if pool is None:
            _miss(tx, after, agent, name, now=now)
            return None
        found = _room(tx, pool, now=now)
        if not found.free:
            after.gates = after.gates or found.again is not None
            return name
    return ""


def _room(tx: Transaction, pool: Pool, *, now: datetime) -> Room:
    running, paid_until = tx.pools.standing(pool.name)
    return room(pool, running=running, paid_until=paid_until, now=to_micros(now))


def _take(tx: Transaction, after: After, agent: Agent, execution: Execution, *, now: datetime) -> None:
    for name in agent.spec.execution.pools:
        pool = after.pools[name]
        _, paid_until = tx.pools.standing(name)
        paid = pay(pool, paid_until=paid_until, now=to_micros(now)) if pool.interval else 0
        tx.pools.take(name, execution.id, lease=execution.lease, paid_until=paid)


def _may_run(agent: Agent) -> bool:
    return agent.state not in {AgentState.STOPPED, AgentState.STOPPING}


def check_pools(tx: Transaction, after: After, agent_id: str, *, now: datetime) -> None:
    """An agent whose pool is gone goes to ERROR before it has anything to start; one whose pool is back comes back."""
    agent = tx.agents.get(agent_id)
    if agent is None:
        return
    gone = [name for name in agent.spec.execution.pools if name not in after.pools]
    if gone:
        _miss(tx, after, agent, gone[0], now=now)
    elif agent.state is AgentState.ERROR and agent.state_reason.startswith(POOL_MISSING):
        come_back(tx, after, agent, now=now, reason="its pools are there again")


def _miss(tx: Transaction, after: After, agent: Agent, name: str, *, now: datetime) -> None:
    tx.pools.leave_line(agent.id)
    if AgentEvent.FAIL in TABLE[agent.state]:
        reason = f"{POOL_MISSING}: no pool {name!r} in nightcrew.toml"
        move_agent(tx, after, agent, AgentEvent.FAIL, now=now, reason=reason)
