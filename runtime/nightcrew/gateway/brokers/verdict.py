"""What becomes of a message at its broker."""

from enum import Enum, auto


class Verdict(Enum):
    """What became of a message."""

    TAKEN = auto()
    """It is on disk: it is acknowledged."""
    UNFIT = auto()
    """It is no event and will be none, and the event log tells so: the broker sets it aside."""
    LEFT = auto()
    """The broker is to keep it."""
