"""One turn of an agent whose triggers lag, in one transaction: as many of the events that wait as there is room for."""

from datetime import datetime
from enum import Enum, auto
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.delivery import Delivery, deliver, is_for
from nightcrew.crew.tally import tally
from nightcrew.domain.agent import Agent
from nightcrew.domain.event import Event
from nightcrew.domain.event_match import types_of
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lag import Lag
from nightcrew.domain.policies import max_backlog
from nightcrew.ports.store import Transaction

SPAN: Final = 5000
"""Sequences that one turn looks through at most, so that no transaction is long."""
BATCH: Final = 100
"""Events that it gives at most, and how much room is waited for: one at a time would double an agent's commits."""


class Progress(Enum):
    """How a turn of one part ended."""

    ENDED = auto()
    MORE = auto()
    FULL = auto()


def take_turn(tx: Transaction, after: After, agent_id: str, *, now: datetime) -> bool:
    """Gives what may be given now; returns whether there is more to do at once."""
    agent = tx.agents.get(agent_id)
    if agent is None or not after.claiming:
        return False
    full = False
    for lag in tx.lags.of(agent_id):
        if lag.reason:
            progress = drop_part(tx, after, lag, reason=lag.reason, now=now)
        elif full:
            continue  # those that began to wait first come first
        else:
            progress = _give_part(tx, after, agent, lag, now=now)
        if progress is Progress.MORE:
            return True
        full = full or progress is Progress.FULL
    return False


def drop_part(
    tx: Transaction, after: After, lag: Lag, *, reason: str, now: datetime, until: int | None = None
) -> Progress:
    """Counts in the ledger what a part has left, up to a sequence if one is given."""
    end = _end(tx, lag)
    if until is not None:
        end = min(end, until)
    events = _next(tx, lag, end)
    count = sum(is_for(after, Delivery(tx, one), lag.match, lag.agent_id, lag.trigger_id) for one in events)
    if count:
        outcome = FireOutcome.BUFFER_DROPPED
        tally(tx, lag.agent_id, lag.trigger_id, outcome, reason=reason, now=now, count=count)
    return _advance(tx, lag, _looked_through(lag, events, end), _end(tx, lag))


def _give_part(tx: Transaction, after: After, agent: Agent, lag: Lag, *, now: datetime) -> Progress:
    if not _has_room(tx, agent):
        return Progress.FULL
    end = _end(tx, lag)  # before anything is admitted, which appends
    events = _next(tx, lag, end)
    for event in events:
        delivery = Delivery(tx, event)
        if not is_for(after, delivery, lag.match, lag.agent_id, lag.trigger_id):
            continue
        given = deliver(tx, after, delivery, agent, lag.trigger_id, now=now)
        delivery.close()
        if not given:
            _advance(tx, lag, event.sequence - 1, end)
            return Progress.FULL
    return _advance(tx, lag, _looked_through(lag, events, end), end)


def _has_room(tx: Transaction, agent: Agent) -> bool:
    backlog = max_backlog(agent.spec.execution)
    if not backlog:
        return True
    queued = tx.executions.occupancy(agent.id, cap=backlog).queued
    return backlog - queued >= max(1, min(BATCH, backlog // 10))


def _end(tx: Transaction, lag: Lag) -> int:
    return tx.events.newest() if lag.until is None else lag.until


def _next(tx: Transaction, lag: Lag, end: int) -> list[Event]:
    until = min(end, lag.cursor + SPAN)
    return tx.events.matching(types_of(lag.match), after=lag.cursor, until=until, limit=BATCH)


def _looked_through(lag: Lag, events: list[Event], end: int) -> int:
    """How far a turn has come: to its last event, behind which there may be more, or through all of its span."""
    return events[-1].sequence if events else min(end, lag.cursor + SPAN)


def _advance(tx: Transaction, lag: Lag, cursor: int, end: int) -> Progress:
    if cursor >= end:
        tx.lags.end(lag)
        return Progress.ENDED
    tx.lags.advance(lag, cursor=cursor)
    return Progress.MORE
