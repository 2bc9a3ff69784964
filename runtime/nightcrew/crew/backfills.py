"""Backfills that end, and the agents they run on: shared by people's commands, stops of agents and the backfiller."""

from dataclasses import replace
from datetime import datetime

from nightcrew.crew.commits import After
from nightcrew.crew.facts import backfill_fact
from nightcrew.domain.agent import Agent
from nightcrew.domain.backfill import Backfill, BackfillEvent, as_begun, step
from nightcrew.domain.event import BACKFILL_ENDED
from nightcrew.domain.execution import Execution, TriggerKind
from nightcrew.ports.store import Transaction


def end_backfill(
    tx: Transaction,
    after: After,
    backfill: Backfill,
    event: BackfillEvent,
    *,
    now: datetime,
    reason: str = "",
    actor: str = "",
) -> Backfill:
    """Ends a backfill by the table, with its event; one that has ended stays as it is."""
    state = step(backfill.state, event)
    if state is backfill.state or not tx.backfills.end(backfill.id, state=state, reason=reason, now=now):
        return backfill
    ended = replace(backfill, state=state, reason=reason, end_time=now)
    after.append(tx, backfill_fact(BACKFILL_ENDED, ended, now=now, actor=actor))
    return ended


def end_backfills(
    tx: Transaction, after: After, agent_id: str, *, reason: str, now: datetime, actor: str = ""
) -> None:
    """Cancels the backfills of an agent that is stopped."""
    for backfill in tx.backfills.running(agent_id):
        end_backfill(tx, after, backfill, BackfillEvent.CANCEL, now=now, reason=reason, actor=actor)


def agent_for(tx: Transaction, agent: Agent, execution: Execution) -> Agent:
    """The agent that a run is to be started on: of a backfill's run, that of the generation it began with."""
    if execution.trigger.kind is not TriggerKind.BACKFILL or execution.agent_generation == agent.generation:
        return agent
    backfill = tx.backfills.of_generation(agent.id, execution.agent_generation)
    return agent if backfill is None else as_begun(agent, backfill)
