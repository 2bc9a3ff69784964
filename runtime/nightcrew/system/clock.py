"""The real clock: the wall clock in UTC, monotonic time, and timers of the running event loop."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from nightcrew.ports.clock import TimerHandle


class SystemClock:
    """The machine's own clock (ports.clock.Clock); stateless, so one instance serves a whole process."""

    __slots__ = ()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the adapter that the port Clock leads to

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()  # noqa: TID251 - this is the adapter that the port Clock leads to

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        """Calls `callback` on the running event loop after so many seconds (at once if not positive)."""
        loop = asyncio.get_running_loop()
        if seconds <= 0:
            return loop.call_soon(callback)
        return loop.call_later(seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """Waits so many seconds; a number that is not positive gives the loop one turn."""
        await asyncio.sleep(seconds)
