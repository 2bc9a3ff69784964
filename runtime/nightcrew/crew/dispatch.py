"""Dispatch: what was appended is given to the triggers that it matches, in the transaction that appended it."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.delivery import Delivery, deliver, is_for
from nightcrew.crew.event_waits import end_event_waits
from nightcrew.domain.event import Event, NewEvent
from nightcrew.domain.event_match import may_trigger
from nightcrew.domain.lag import Lag
from nightcrew.ports.store import Transaction

ROOM: Final = 40_000
"""The effort (crew/delivery.py) after which further events of a transaction have their triggers lag: nobody waits for
the writer longer than some tenths of a second, and what one event's own triggers take."""

_FIELDS: Final = tuple(field.name for field in fields(NewEvent))


def dispatch(tx: Transaction, after: After) -> None:
    """Goes through what the transaction has noted, and through what that leads to, until nothing is left."""
    for sequence, event, now in after.noted:  # what is admitted may end others, so it grows meanwhile
        if event.agent_id and tx.lags.lagging(event.agent_id):
            after.lags.append(event.agent_id)  # a run has ended, or its agent has changed: there may be room
        if not may_trigger(event.type):
            continue
        if waited := tx.steps.awaited_by(event.type):
            full = after.effort >= ROOM
            end_event_waits(tx, after, _appended(event, sequence), waited, now=now, full=full)
        if candidates := tx.event_triggers.candidates(event.type, event.source):
            _give(tx, after, _appended(event, sequence), candidates, now=now)


def _give(
    tx: Transaction, after: After, event: Event, candidates: Sequence[tuple[str, str]], *, now: datetime
) -> None:
    delivery = Delivery(tx, event)
    full = after.effort >= ROOM
    for agent_id, trigger_id in candidates:
        agent = tx.agents.get(agent_id)
        trigger = agent.spec.trigger(trigger_id) if agent is not None else None
        if agent is None or trigger is None or trigger.event is None:
            continue
        lagging = tx.lags.is_open(agent_id, trigger_id)
        # Where there is no time to look, the trigger is asked when its turn comes.
        if lagging or not (full or is_for(after, delivery, trigger.event, agent_id, trigger_id)):
            continue
        # Whoever waits comes first, so that the order is kept.
        if full or lagging is not None or not deliver(tx, after, delivery, agent, trigger_id, now=now):
            before = event.sequence - 1
            tx.lags.begin(Lag(agent_id=agent_id, trigger_id=trigger_id, cursor=before, match=trigger.event))
            if full:
                after.lags.append(agent_id)
    delivery.close()


def _appended(event: NewEvent, sequence: int) -> Event:
    values = {name: getattr(event, name) for name in _FIELDS}
    return Event(**{**values, "id": event.id or str(sequence)}, sequence=sequence)
