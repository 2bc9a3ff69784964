"""Waits for an event, and an event that many wait for: these are told some at a time, and it is kept how far it is."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCall:
    """The waits for one type, or prefix, that an event has still to be given to, in the order of their numbers.

    Attributes:
        number: Which one; they are taken in the order of their numbers. 0 until it is kept.
        sequence: The event's.
        awaited: What the waits ask for: the event's type, or a prefix with `*`.
        cursor: Every wait up to this number has been asked.
        until: The last wait that had begun when the event came.
        time: When it came: a wait whose time was over by then is not given it.
    """

    sequence: int
    awaited: str
    cursor: int
    until: int
    time: datetime
    number: int = 0

    def covers(self, wait: int) -> bool:
        """Whether a wait of this number has still to be asked."""
        return self.cursor < wait <= self.until


@dataclass(frozen=True, slots=True)
class EventWait:
    """A step that waits for an event.

    Attributes:
        number: The step's: those that began later have greater ones.
        execution_id: Whose it is.
        key: The step's key.
        start_time: When it began to wait.
        until: When it ends by itself.
        filter: What the event must be, in CEL; empty for any.
    """

    number: int
    execution_id: str
    key: str
    start_time: datetime
    until: datetime | None
    filter: str
