"""How far a run has got, as its program says: checked where it is said, the last one said counts."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.domain.errors import InvalidArgument

MAX_MESSAGE: Final = 1000
"""Characters of a message; what is longer is cut: a note for people must not fail the work that it tells of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a program said of its progress.

    Attributes:
        done: How much is done, in the program's own unit.
        total: Of how much; 0 where it is not known.
        message: For people.
        time: When it was said.
        attempt: Which attempt said it; 0 where that is known from what it belongs to.
    """

    done: float
    total: float
    message: str
    time: datetime
    attempt: int = 0


def progress_of(done: object, total: object, message: object, *, now: datetime) -> Progress:
    """The progress of a program's own words.

    Raises:
        InvalidArgument: Names what is no number from 0 on, or no text.
    """
    if not isinstance(message, str):
        raise InvalidArgument.of("message", f"must be text, not {type(message).__name__}")
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE - 1] + "…"
    return Progress(
        done=_number(done, "done"), total=_number(total, "total"), message=_plain(message), time=now
    )


def _number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument.of(field, f"must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number >= 0):
        raise InvalidArgument.of(field, f"must be a finite number from 0 on, is {str(value)[:40]}")
    return number


def _plain(message: str) -> str:
    """The message as UTF-8 can hold it: a lone surrogate would fail every reader."""
    return message.encode("utf-8", "replace").decode()
