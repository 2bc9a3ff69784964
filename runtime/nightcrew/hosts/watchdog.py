"""Names the inline program that blocks the event loop: a heartbeat on the loop, a thread that misses it."""

import asyncio
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Any

import structlog

from nightcrew.domain.log import Severity
from nightcrew.hosts.attempt import Attempt

_BEATS = 10
"""Heartbeats and looks within the limit: a block is seen at most a fifth of the limit late."""

_IDLE_BEATS = 40
"""Heartbeats without a program after which both sides rest."""

_log = structlog.get_logger(__name__)


class Watchdog:
    """Watches the loop while programs run on it; rests (no timer, no wake-ups) while none does.

    It measures the machine's own time, whatever clock a test brings: it is about real delay.

    Args:
        limit: Seconds without a turn of the loop that are too many.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._attempts: dict[asyncio.Task[Any], Attempt] = {}
        self._awake = threading.Event()
        self._closed = threading.Event()
        self._beat = 0.0
        self._idle = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._thread: threading.Thread | None = None
        self.blocked = 0

    def watch(self, task: asyncio.Task[Any], attempt: Attempt) -> None:
        """Watches while this task runs; called on the loop."""
        self._attempts[task] = attempt
        task.add_done_callback(self._forget)
        if not self._awake.is_set():
            self._wake()

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        self._awake.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._attempts.pop(task, None)

    def _wake(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._idle = 0
        self._beat = _seconds()
        self._awake.set()
        self._loop.call_later(self._limit / _BEATS, self._heartbeat)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="nightcrew-watchdog", daemon=True)
            self._thread.start()

    def _heartbeat(self) -> None:
        self._beat = _seconds()
        self._idle = 0 if self._attempts else self._idle + 1
        if self._idle > _IDLE_BEATS or self._closed.is_set() or self._loop is None:
            self._awake.clear()
            return
        self._loop.call_later(self._limit / _BEATS, self._heartbeat)

    def _watch(self) -> None:
        """Looks at which task is in its step: the same one, with no heartbeat, for over the limit is a block.

        The heartbeat alone would not do: a thousand short steps in one turn of the loop delay it, too.
        """
        seen: tuple[object, float] = (None, 0.0)
        since = 0.0
        reported = False
        while not self._closed.is_set():
            self._awake.wait()
            self._closed.wait(self._limit / _BEATS)
            now = _seconds()
            look = (asyncio.current_task(self._loop) if self._loop is not None else None, self._beat)
            if look != seen:
                seen, since, reported = look, now, False
            elif look[0] is not None and not reported and now - since > self._limit:
                reported = True
                self._report()

    def _report(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the one way to see another thread
        attempt = self._culprit(frame)
        if attempt is None:
            return
        self.blocked += 1
        stack = "".join(traceback.format_stack(frame))
        job = attempt.job
        _log.warning(
            "an inline program blocks the event loop",
            agent_id=job.agent_id,
            execution_id=job.execution_id,
            program=job.source.name,
            over_ms=round(self._limit * 1000),
            stack=stack,
        )
        attempt.recorder.add(
            f"this program blocks the event loop for over {round(self._limit * 1000)} ms: all inline agents wait; "
            "await, or use isolation pool",
            severity=Severity.WARNING,
            fields={"stack": stack},
        )

    def _culprit(self, frame: FrameType | None) -> Attempt | None:
        task = asyncio.current_task(self._loop) if self._loop is not None else None
        if task is None:
            return None
        known = self._attempts.get(task)
        if known is not None:
            return known
        # A child task of a program: told by the file that is on its stack.
        files = set()
        while frame is not None:
            files.add(frame.f_code.co_filename)
            frame = frame.f_back
        return next((one for one in list(self._attempts.values()) if one.job.source.path in files), None)


def _seconds() -> float:
    return time.monotonic()  # noqa: TID251 - see the class: real delay is what is measured
