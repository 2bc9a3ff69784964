"""Publishing an event within a transaction: once, by its source and id, whoever publishes."""

from dataclasses import dataclass
from datetime import datetime

from nightcrew.crew.commits import After
from nightcrew.domain.cloudevent import KNOWN_FOR
from nightcrew.domain.event import NewEvent
from nightcrew.ports.store import Transaction


@dataclass(frozen=True, slots=True)
class Published:
    """Where an event stands in the log; `deduplicated` says that it had been published before."""

    sequence: int
    deduplicated: bool = False


def publish(
    tx: Transaction, after: After, event: NewEvent, *, now: datetime, made_id: bool = False
) -> Published:
    """Appends an event that was checked, unless one of its source and id was received within 24 h.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        event: The event; it has an id.
        now: When it was received.
        made_id: Whether its id was made for it here: then nobody can publish it again.
    """
    if made_id:
        return Published(after.append(tx, event, received=now))
    known = tx.events.published(event.source, event.id, since=now - KNOWN_FOR)
    if known is not None:
        return Published(known, deduplicated=True)
    sequence = after.append(tx, event, received=now)
    tx.events.remember(event.source, event.id, sequence=sequence, now=now)
    return Published(sequence)
