"""An event that many wait for: they are woken some at a time, and this is how far it has come."""

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
