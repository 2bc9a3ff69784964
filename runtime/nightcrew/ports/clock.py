"""Time and randomness as ports: nothing else in the house reads a clock or rolls a die."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class TimerHandle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Calls the timer off; after it has fired this does nothing."""


class Clock(Protocol):
    """The wall clock, a monotonic clock, and timers that belong to it."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Calls `callback` on the event loop after so many seconds (at once if not positive)."""

    async def sleep(self, seconds: float) -> None:
        """Waits so many seconds of this clock."""


class Ids(Protocol):
    """New identities, and the randomness of back-off."""

    def uuid7(self) -> str:
        """A new time-ordered UUID (RFC 9562, version 7), growing within the process."""

    def random(self) -> float:
        """A number in [0, 1)."""
