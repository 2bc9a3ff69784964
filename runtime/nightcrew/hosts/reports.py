"""A program's reports of its progress on their way out: whatever it says in a while, the last one is passed on."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from nightcrew.domain.progress import Progress, progress_of

INTERVAL: Final = 0.2
"""Seconds between reports that one run sends at once; what it says in between is sent with the worker's next beat."""

Send = Callable[[Progress], None]


class LoopReports:
    """From a program of this loop, or of a thread that works for it, to the loop.

    Args:
        send: Takes a report, on the loop.
        loop: Where the program is at home; None: `send` is called as it is.
    """

    __slots__ = ("_asked", "_last", "_loop", "_send")

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop | None) -> None:
        self._send = send
        self._loop = loop
        self._last: deque[Progress] = deque(maxlen=1)
        self._asked = False

    def say(self, done: object, total: object, message: object, *, now: datetime) -> None:
        """Passes on what a program says, once it is checked.

        Raises:
            InvalidArgument: It is no progress; nothing is passed on.
        """
        self.tell(progress_of(done, total, message, now=now))

    def tell(self, report: Progress) -> None:
        """Passes a report on: at once, or from another thread when the loop comes to it."""
        if self._loop is None or _running() is self._loop:
            self._send(report)
            return
        self._last.append(report)
        if not self._asked:
            self._asked = True
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        self._asked = False  # before the look: what is said after it asks anew
        with suppress(IndexError):
            self._send(self._last.pop())


class PipeReports:
    """From a worker's run, in whatever thread, to its pipe: at once, or by `flush` if one has just been sent.

    Args:
        send: Sends a report; from any thread.
        monotonic: Seconds of a clock that never goes back.
    """

    __slots__ = ("_last", "_monotonic", "_next", "_send")

    def __init__(self, send: Send, monotonic: Callable[[], float]) -> None:
        self._send = send
        self._monotonic = monotonic
        self._last: deque[Progress] = deque(maxlen=1)
        self._next = 0.0

    def tell(self, report: Progress) -> None:
        """Takes a report."""
        self._last.append(report)
        now = self._monotonic()
        if now >= self._next:
            self._next = now + INTERVAL
            self.flush()

    def flush(self) -> None:
        """Sends what has not been sent, if anything."""
        with suppress(IndexError):
            self._send(self._last.pop())


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
