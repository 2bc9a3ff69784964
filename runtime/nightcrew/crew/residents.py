"""Residents written: begun when their agent becomes ACTIVE, ended when it is held, begun anew after their ends.

Each is one execution of the kind RESIDENT at a time; the next one begins when the one before is final.
"""

from datetime import datetime

from nightcrew.crew.cancels import cancel
from nightcrew.crew.commits import After, Ended
from nightcrew.crew.facts import restart_fact
from nightcrew.crew.intake import Work, enter
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import (
    Execution,
    ExecutionError,
    ExecutionState,
    Occupancy,
    TriggerKind,
    TriggerRef,
)
from nightcrew.domain.resident import Following, Wish, begins_anew, beside, following
from nightcrew.ports.store import Transaction


def occupancy(tx: Transaction, agent: Agent, *, cap: int = 0) -> Occupancy:
    """How full an agent is: its resident, which stands outside `max_concurrency`, is not counted."""
    taken = tx.executions.occupancy(agent.id, cap=cap + 1 if cap and agent.spec.resident else cap)
    if agent.spec.resident is None:
        return taken
    mine = tx.residents.open(agent.id)
    return taken if mine is None else beside(taken, mine.state, started=mine.started)


def begin_resident(tx: Transaction, after: After, agent: Agent, *, now: datetime) -> None:
    """The agent has become ACTIVE: its resident begins, or begins anew once the one before has ended."""
    if agent.spec.resident is None:
        return
    tx.residents.want(agent.id, Wish.ANEW)
    after.residents.append(Ended(agent.id))
    start_resident(tx, after, agent, now=now)


def hold_resident(tx: Transaction, after: After, agent: Agent, *, reason: str, now: datetime) -> None:
    """The agent is ACTIVE no more: its resident is cancelled."""
    if agent.spec.resident is None:
        return
    tx.residents.want(agent.id, Wish.NONE)
    mine = tx.residents.open(agent.id)
    if mine is not None:
        cancel(tx, after, mine, reason=reason, now=now)


def change_resident(tx: Transaction, after: After, agent: Agent, old: Agent, *, now: datetime) -> None:
    """The spec has changed: what the resident runs with may have, or whether there is one at all."""
    if agent.spec.resident is None:
        if old.spec.resident is not None:
            hold_resident(tx, after, old, reason="it is no resident any more", now=now)
            tx.residents.drop(agent.id)
        return
    if agent.state is not AgentState.ACTIVE or not begins_anew(old.spec, agent.spec):
        return
    mine = tx.residents.open(agent.id)
    begin_resident(tx, after, agent, now=now)
    if mine is not None:
        cancel(tx, after, mine, reason=f"the agent has changed: generation {agent.generation}", now=now)


def start_resident(
    tx: Transaction, after: After, agent: Agent, *, now: datetime, restarts: int = 0
) -> Execution | None:
    """Begins a resident that is wanted, if none is open; None if it is not to begin now.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        agent: Whose resident.
        now: The wall clock.
        restarts: Which restart this is, counted since the runtime started; 0 for none.
    """
    trigger = agent.spec.resident
    wanted = agent.state is AgentState.ACTIVE and tx.residents.wish(agent.id) is not Wish.NONE
    if trigger is None or not wanted or tx.residents.open(agent.id) is not None:
        return None
    ref = TriggerRef(
        kind=TriggerKind.RESIDENT, trigger_id=trigger.id, cause_execution_id=tx.residents.last(agent.id)
    )
    if restarts:
        after.append(tx, restart_fact(agent, ref, restarts=restarts, now=now))
    execution = enter(tx, after, agent, Work(execution_id=after.new_id(), trigger=ref), now=now)
    tx.residents.began(agent.id, execution.id)
    return execution


def resident_ended(
    tx: Transaction,
    after: After,
    agent: Agent | None,
    state: ExecutionState,
    error: ExecutionError | None,
    *,
    now: datetime,
) -> None:
    """An execution of the agent's resident has ended, in this transaction: what follows by its wish and its policy."""
    if agent is None or agent.spec.resident is None:
        return
    wish = tx.residents.wish(agent.id) if agent.state is AgentState.ACTIVE else Wish.NONE
    policy = agent.spec.restart
    error_type = "" if error is None else error.type
    match following(wish, policy.mode, state, error_type, draining=not after.claiming):
        case Following.AT_ONCE:
            start_resident(tx, after, agent, now=now)
        case Following.RESTART:
            after.residents.append(Ended(agent.id, policy))
        case Following.DONE:
            tx.residents.want(agent.id, Wish.NONE)
        case _:
            pass  # nothing is wanted, or it begins with the next start
