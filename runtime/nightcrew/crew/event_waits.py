"""Events end the waits that they match: some in the transaction that appends the event, a herd in batches after it.

What is left is a row, so a crash in between forgets nobody. Events that come meanwhile stand in line behind it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Final

from nightcrew.crew.commits import After
from nightcrew.crew.delivery import ADMITTED, LOOKED_AT
from nightcrew.crew.event_calls import event_of, fits
from nightcrew.crew.waits import end_wait
from nightcrew.domain.cloudevent import event_text
from nightcrew.domain.event import Event
from nightcrew.domain.event_call import EventCall
from nightcrew.domain.event_filter import Facts
from nightcrew.ports.store import Transaction

AT_ONCE: Final = 200
"""How many waits an event's own transaction asks: some 20 ms, in which nobody else writes."""
BATCH: Final = 50
"""How many a transaction asks after that, so that others have their turn in between."""


class _Told:
    """An event as waits get it; what is the same for all of them is worked out once."""

    def __init__(self, event: Event) -> None:
        self.event = event

    @cached_property
    def facts(self) -> Facts:
        return Facts(self.event)

    @cached_property
    def text(self) -> str:
        return event_text(self.event)


def end_event_waits(
    tx: Transaction,
    after: After,
    event: Event,
    waited: Sequence[str],
    *,
    now: datetime,
    full: bool = False,
) -> None:
    """An event was appended: the waits that it matches are over, in the same transaction if they are few.

    `waited` is what waits for it: its type, or prefixes of it. `full` says that the transaction has done enough
    already: then all of them are told after it.
    """
    told = _Told(event)
    for awaited in waited:
        call = EventCall(
            sequence=event.sequence, awaited=awaited, cursor=0, until=tx.steps.newest(), time=now
        )
        if full or tx.event_calls.of(awaited):
            cursor: int | None = 0
        else:
            cursor = _tell(tx, after, call, told, now=now, limit=AT_ONCE)
        if cursor is not None:
            tx.event_calls.begin(replace(call, cursor=cursor))
            after.timers = True


def tell_on(tx: Transaction, after: After, *, now: datetime) -> bool:
    """Tells the next of those who wait for an event on its way; returns whether there may be more."""
    call = tx.event_calls.first()
    if call is None:
        return False
    event = event_of(tx, call.sequence)
    cursor = None if event is None else _tell(tx, after, call, _Told(event), now=now, limit=BATCH)
    if cursor is None:
        tx.event_calls.end(call)
    else:
        tx.event_calls.move(call, cursor)
    return True


def _tell(
    tx: Transaction, after: After, call: EventCall, told: _Told, *, now: datetime, limit: int
) -> int | None:
    """Asks some waits, in the order in which they began; returns the last one's number, None if all were asked."""
    waits = tx.steps.event_waits(call.awaited, after=call.cursor, until=call.until, limit=limit)
    for wait in waits:
        after.effort += LOOKED_AT
        late = (
            wait.until is not None and wait.until <= call.time
        )  # it has timed out, though nobody has looked yet
        if late or wait.start_time > call.time:
            continue
        if fits(tx, after, wait.execution_id, wait.filter, told.facts):
            after.effort += ADMITTED
            reason = f"event {told.event.type}"
            end_wait(tx, after, wait.execution_id, wait.key, now=now, result=told.text, reason=reason)
    return waits[-1].number if len(waits) == limit else None
