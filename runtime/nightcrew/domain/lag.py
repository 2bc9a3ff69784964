"""A trigger that lags: its agent's backlog was full, so that events it matches wait in the log for room."""

from dataclasses import dataclass

from nightcrew.domain.spec.trigger import EventMatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """A part of the log whose events a trigger has still to be given, in order.

    Attributes:
        number: Which one; the parts of a trigger are taken in the order of their numbers. 0 until it is kept.
        cursor: Every event up to it is decided.
        until: The last event of the part; None while it is open: then what comes belongs to it.
        match: What the trigger matched when it began to lag: a change of the trigger is not retroactive.
        reason: Why what is left is dropped; empty while it is to be given out.
    """

    agent_id: str
    trigger_id: str
    cursor: int
    match: EventMatch
    until: int | None = None
    reason: str = ""
    number: int = 0
