"""A clock that stands still until a test moves it: timers fire in order, in no real time."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ROUNDS_WITHOUT_LOOK: Final = 64
_ROUNDS_AT_MOST: Final = 100_000


class ManualTimer:
    """A timer of a `ManualClock` that can be called off (ports.clock.TimerHandle)."""

    __slots__ = ("_callback", "_handle", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._handle: asyncio.Handle | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """Calls the timer off; after it has fired this does nothing."""
        self.cancelled = True
        if self._handle is not None:
            self._handle.cancel()

    def _fire(self) -> None:
        # Through the loop and not at once, as a real timer: an error goes to the loop's handler.
        self._handle = asyncio.get_running_loop().call_soon(self._callback)


class ManualClock:
    """A clock for tests (ports.clock.Clock). Time passes only in `advance`, `leap_to_next`, `run_until_idle`.

    Each of them goes from deadline to deadline, and after each lets the event loop run until nothing in it is
    ready (`settle`), so that what a timer set off has happened before time goes on. Work in threads and in
    other processes is not waited for: wait for its result, then move the clock.

        clock = ManualClock()
        ...
        await clock.advance(60)        # a minute passes, in no time

    Args:
        start: The wall clock at the beginning: aware; by default 2026-01-01T00:00:00Z.
        monotonic: The monotonic clock at the beginning, in seconds.
    """

    def __init__(self, start: datetime = _START, *, monotonic: float = 0.0) -> None:
        if start.tzinfo is None:
            raise ValueError(f"start must have a zone, such as UTC: {start.isoformat()}")
        self._wall = start.astimezone(UTC)
        self._origin = monotonic
        self._monotonic = monotonic
        self._timers: list[tuple[float, int, ManualTimer]] = []
        self._order = itertools.count()
        self._settlers = 0
        self._shift_listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return self._wall + timedelta(seconds=self._monotonic - self._origin)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self._monotonic

    def call_later(self, seconds: float, callback: Callable[[], None]) -> ManualTimer:
        """Calls `callback` once the clock was moved so far (in the loop's next turn if not positive)."""
        timer = ManualTimer(callback)
        if seconds <= 0:
            timer._fire()  # noqa: SLF001 - the timer is this clock's own part
        else:
            heapq.heappush(self._timers, (self._monotonic + seconds, next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Waits until the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            timer.cancel()

    @property
    def next_deadline(self) -> float | None:
        """When the next timer is due, in seconds of `monotonic`, or None if there is none."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    @property
    def pending(self) -> int:
        """How many timers wait."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def shift_wall(self, seconds: float) -> None:
        """Sets the wall clock forward (or back) and leaves monotonic time alone, as a corrected clock does."""
        self._wall += timedelta(seconds=seconds)
        for listener in self._shift_listeners:
            listener()

    def on_shift(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Has a listener called after each `shift_wall`; returns what ends that."""
        self._shift_listeners.append(listener)
        return lambda: self._shift_listeners.remove(listener)

    async def advance(self, seconds: float) -> None:
        """Lets so many seconds pass; every timer due in them fires at its own time, in order.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds must not be negative (a clock never runs backwards): {seconds}")
        end = self._monotonic + seconds
        await self.settle()
        while self.leap(until=end):
            await self.settle()
        self._monotonic = max(self._monotonic, end)
        await self.settle()

    async def leap_to_next(self) -> bool:
        """Goes to the next deadline and fires what is due then; False (and no time passes) if none waits."""
        await self.settle()
        leapt = self.leap()
        await self.settle()
        return leapt

    def leap(self, *, until: float | None = None) -> bool:
        """Goes to the next deadline and fires what is due then, without a turn of the loop: `settle` comes next.

        Args:
            until: Not if it is after this moment of `monotonic`.

        Returns:
            Whether there was one; if not, no time passes.
        """
        due = self.next_deadline
        if due is None or (until is not None and due > until):
            return False
        self._monotonic = max(self._monotonic, due)
        while (following := self.next_deadline) is not None and following <= due:
            heapq.heappop(self._timers)[2]._fire()  # noqa: SLF001 - the timer is this clock's own part
        return True

    async def run_until_idle(self, *, limit: float = 86_400.0) -> float:
        """Leaps from deadline to deadline until no timer waits; returns the seconds that passed.

        Raises:
            TimeoutError: Timers still wait after `limit` seconds of this clock (something ticks for ever).
        """
        start = self._monotonic
        await self.settle()
        while self.leap(until=start + limit):
            await self.settle()
        if self.pending:
            raise TimeoutError(f"{self.pending} timers still wait after {limit} s of the manual clock")
        return self._monotonic - start

    async def settle(self) -> None:
        """Lets the event loop run until nothing in it is ready; no time passes.

        Raises:
            RuntimeError: Something keeps the loop busy without end.
        """
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        if ready is None:  # a loop that hides its queue (uvloop): enough turns for any chain in our tests
            for _ in range(_ROUNDS_WITHOUT_LOOK):
                await asyncio.sleep(0)
            return
        self._settlers += 1
        try:
            for _ in range(_ROUNDS_AT_MOST):
                await asyncio.sleep(0)
                if len(ready) < self._settlers:  # nothing but others who settle, such as this one
                    return
        finally:
            self._settlers -= 1
        raise RuntimeError(f"the event loop is still busy after {_ROUNDS_AT_MOST} turns: something spins")
