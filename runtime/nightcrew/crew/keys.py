"""Concurrency keys at work: told as work is let in, and taking turns as it is claimed."""

from datetime import datetime

from nightcrew.crew.commits import After
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.concurrency_key import FIELD, NO_KEY, KeyUnknown, compile_key
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import Execution
from nightcrew.domain.policies import max_per_key
from nightcrew.domain.spec.policy import ExecutionPolicy
from nightcrew.ports.store import Transaction


def keep_key(tx: Transaction, after: After, agent: Agent, execution: Execution) -> None:
    """Keeps the key of an execution that is open; one that can't be told is empty, and counted on the agent."""
    try:
        key = compile_key(agent.spec.execution.concurrency_key).of(execution.input)
    except (KeyUnknown, InvalidArgument) as error:
        key = NO_KEY
        after.filter_errors.append((agent.id, FIELD, str(error)))
    tx.keys.put(execution.id, agent_id=agent.id, key=key, priority=execution.priority, held=execution.started)


def keys_differ(one: ExecutionPolicy, other: ExecutionPolicy) -> bool:
    """Whether what is open must be looked at anew."""
    return (one.concurrency_key, one.max_concurrency_per_key) != (
        other.concurrency_key,
        other.max_concurrency_per_key,
    )


def rekey(tx: Transaction, after: After, agent: Agent) -> None:
    """Tells the keys of everything that is open anew: the agent's expression has changed."""
    tx.keys.forget(agent.id)
    if agent.spec.execution.concurrency_key:
        for execution in tx.executions.open(agent.id):
            keep_key(tx, after, agent, execution)


def next_of(tx: Transaction, agent: Agent, *, now: datetime, fresh: bool = True) -> Execution | None:
    """Claims the one that starts next: a run that goes on, else the first of the key whose turn it is.

    A key that has nothing to start is looked at once, and again when one of its executions is queued or ends.
    Unless `fresh`, nothing begins and only what has begun goes on.
    """
    if not fresh:
        return _claimed(tx, agent, runs_only=True, now=now)
    held = agent.state is not AgentState.ACTIVE
    if not agent.spec.execution.concurrency_key:
        return _claimed(tx, agent, people_only=held, now=now)
    run = _claimed(tx, agent, runs_only=True, now=now)
    if run is not None:
        return run  # it has its key's place already
    chosen = (
        tx.keys.asked_for(agent.id, per_key=max_per_key(agent.spec.execution))
        if held
        else _next_in_turn(tx, agent)
    )
    if chosen is None:
        return None
    execution = _claimed(tx, agent, only=chosen, now=now)
    if execution is not None:
        tx.keys.hold(execution.id)
    return execution


def _next_in_turn(tx: Transaction, agent: Agent) -> str | None:
    bound = max_per_key(agent.spec.execution)
    last = tx.keys.turn(agent.id)
    key = tx.keys.following(agent.id, last)
    wrapped = last is None
    while True:
        if key is None or (wrapped and last is not None and key > last):
            if wrapped:
                return None
            wrapped = True
            key = tx.keys.following(agent.id, None)
            continue
        if tx.keys.held(agent.id, key, cap=bound) < bound:
            head = tx.keys.head(agent.id, key)
            if head is not None:
                tx.keys.set_turn(agent.id, key)
                return head
        tx.keys.rest(agent.id, key)
        key = tx.keys.following(agent.id, key)


def _claimed(
    tx: Transaction,
    agent: Agent,
    *,
    now: datetime,
    people_only: bool = False,
    runs_only: bool = False,
    only: str = "",
) -> Execution | None:
    found = tx.executions.claim(
        agent.id,
        limit=1,
        people_only=people_only,
        now=now,
        generation=agent.generation,
        runs_only=runs_only,
        only=only,
    )
    return found[0] if found else None
