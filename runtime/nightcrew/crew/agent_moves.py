"""An agent's state changes, written: the table's step, its event, and what the table says must follow."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from nightcrew.crew.backfills import end_backfills
from nightcrew.crew.cancels import cancel_open
from nightcrew.crew.commits import After
from nightcrew.crew.facts import agent_fact
from nightcrew.crew.firing import fire_before
from nightcrew.crew.lagging import drop_lags
from nightcrew.crew.residents import begin_resident, hold_resident
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import Aborted
from nightcrew.domain.event import AGENT_DELETED, AGENT_EVENTS, AGENT_RESUMED
from nightcrew.domain.lifecycle.agent import AgentEffect, AgentEvent, step
from nightcrew.ports.store import Transaction

_COMMANDS: Final = (AgentEvent.PAUSE, AgentEvent.STOP)
"""What ends being ACTIVE by someone's will: what was due before it is due. A fault does nothing first."""


def move_agent(
    tx: Transaction,
    after: After,
    agent: Agent,
    event: AgentEvent,
    *,
    now: datetime,
    reason: str = "",
    actor: str = "",
) -> Agent:
    """Applies an event to an agent and returns it as it is then.

    Raises:
        FailedPrecondition: The table refuses the event in the agent's state; nothing changes.
    """
    following = step(agent.state, event, agent_id=agent.id)
    if not following.changed:
        return agent
    if event in _COMMANDS and not agent.delete_requested:
        # A stop would cancel at once what it finds started.
        fire_before(tx, after, agent, now=now, at_once=event is AgentEvent.PAUSE)
    moved = replace(
        agent,
        state=following.state,
        state_reason=reason,
        state_time=now,
        update_time=now,
        revision=agent.revision + 1,
        consecutive_failures=0
        if AgentEffect.RESET_COUNTERS in following.effects
        else agent.consecutive_failures,
        was_paused=event is AgentEvent.FAIL and agent.state is AgentState.PAUSED,
    )
    save(tx, moved, revision=agent.revision)
    kind = AGENT_RESUMED if event is AgentEvent.RESUME else AGENT_EVENTS[following.state]
    after.append(tx, agent_fact(kind, moved, now=now, actor=actor))
    after.schedules.append(agent.id)
    if moved.state is AgentState.ACTIVE:
        begin_resident(tx, after, moved, now=now)
    elif agent.state is AgentState.ACTIVE:
        why = reason or f"the agent is {moved.state.value.removeprefix('STATE_')}"
        hold_resident(tx, after, moved, reason=why, now=now)
    if AgentEffect.WAKE in following.effects and _has_work(tx, agent.id):
        after.work.append(agent.id)
    if AgentEffect.CANCEL_EXECUTIONS in following.effects:
        why = reason or "the agent was stopped"
        end_backfills(tx, after, agent.id, reason=why, now=now, actor=actor)
        drop_lags(tx, after, agent.id, reason=why)
        cancel_open(tx, after, agent.id, reason=why, now=now, actor=actor)
        return end_if_empty(tx, after, moved, now=now)
    return moved


def end_if_empty(tx: Transaction, after: After, agent: Agent, *, now: datetime) -> Agent:
    """STOPPING → STOPPED once nothing is open any more; an agent that was to be deleted goes then."""
    if agent.state is not AgentState.STOPPING:
        return agent
    if _has_work(tx, agent.id):
        return agent
    stopped = move_agent(tx, after, agent, AgentEvent.ENDED, now=now, reason=agent.state_reason)
    if stopped.delete_requested:
        delete_now(tx, after, stopped, now=now)
    return stopped


def _has_work(tx: Transaction, agent_id: str) -> bool:
    """Whether an execution of the agent is not final."""
    open_now = tx.executions.occupancy(agent_id, cap=1)
    return bool(open_now.places or open_now.queued)


def delete_now(tx: Transaction, after: After, agent: Agent, *, now: datetime, actor: str = "") -> None:
    """Deletes a STOPPED agent with its executions, logs and ledger; the events stay."""
    tx.agents.delete(agent.id)
    source = tx.agents.source(agent.id)
    if source is not None:
        tx.agents.set_source(replace(source, deleted=True))
    after.append(tx, agent_fact(AGENT_DELETED, agent, now=now, actor=actor))
    after.schedules.append(agent.id)


def save(tx: Transaction, agent: Agent, *, revision: int) -> None:
    """Writes an agent that was read in this transaction.

    Raises:
        Aborted: It is no longer the revision that was read.
    """
    if not tx.agents.save(agent, revision=revision):
        raise Aborted(f"agent {agent.id!r} was changed meanwhile; read it and try again")
