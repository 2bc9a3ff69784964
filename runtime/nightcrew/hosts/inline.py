"""Async programs, and HTTP programs, as tasks on the runtime's own event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import structlog

from nightcrew.domain.log import NewLogEntry
from nightcrew.hosts.attempt import Attempt
from nightcrew.hosts.branches import number_branches
from nightcrew.hosts.watchdog import Watchdog
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Abandoned, Desk, Interrupted, Job, LogSink, Outcome
from nightcrew.programs.http import HttpRunner
from nightcrew.programs.python import load_python
from nightcrew.system.capture import recording
from nightcrew.system.ids import SystemIds

KILL_PATIENCE = 1.0
"""Seconds that a killed program has to end before it is abandoned."""

_log = structlog.get_logger(__name__)


class InlineHost:
    """Runs async python programs and HTTP programs on this loop (ports.host.Host).

    A program that blocks the loop for over `block_limit` seconds is named in a warning, with its stack.

    Args:
        clock: Gives log entries their time and measures a kill's patience.
        random: In [0, 1), for `ctx.random` and the back-off of steps; the machine's own by default.
        http: Runs HTTP programs.
        block_limit: Seconds.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        http: HttpRunner,
        random: Callable[[], float] | None = None,
        block_limit: float = 0.25,
    ) -> None:
        self._clock = clock
        self._random = random or SystemIds().random
        self._http = http
        self._running: dict[tuple[str, int], _Running] = {}
        self._watchdog = Watchdog(block_limit)

    @property
    def blocked(self) -> int:
        """How often programs blocked the loop for too long."""
        return self._watchdog.blocked

    @property
    def running(self) -> int:
        """How many programs run, abandoned ones included."""
        return len(self._running)

    @property
    def in_threads(self) -> int:
        """How many sync steps of programs run now, in threads."""
        return sum(one.attempt.steps.in_threads for one in self._running.values())

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt to its end. If the awaiting task is cancelled the program is cancelled, too."""
        number_branches(asyncio.get_running_loop())
        running = _Running(job, sink, desk, http=self._http, clock=self._clock, random=self._random)
        key = (job.execution_id, job.lease)
        self._running[key] = running
        task = running.start()
        self._watchdog.watch(task, running.attempt)
        task.add_done_callback(lambda _: self._ended(key, running))
        try:
            return await running.outcome
        except asyncio.CancelledError:
            task.cancel()
            raise

    def arrived(self, execution_id: str, lease: int) -> None:
        """Has the program look at what it waits for."""
        running = self._running.get((execution_id, lease))
        if running is not None:
            running.attempt.steps.arrived()

    def cancel(self, execution_id: str, lease: int) -> None:
        """Raises CancelledError into the program."""
        running = self._running.get((execution_id, lease))
        if running is not None:
            running.cancel()

    def kill(self, execution_id: str, lease: int) -> None:
        """Cancels the program once more; if that does not end it soon, its run returns Abandoned."""
        running = self._running.get((execution_id, lease))
        if running is not None and not running.killed:
            running.killed = True
            running.cancel()
            self._clock.call_later(KILL_PATIENCE, running.abandon)

    def close(self) -> None:
        """Ends the watchdog's thread."""
        self._watchdog.close()

    def _ended(self, key: tuple[str, int], running: "_Running") -> None:
        if self._running.get(key) is running:
            del self._running[key]
        running.ended()


class _Running:
    """One program on the loop, and the future that its `run` waits for."""

    __slots__ = ("_http", "attempt", "killed", "outcome", "task")

    def __init__(
        self,
        job: Job,
        sink: LogSink,
        desk: Desk,
        *,
        http: HttpRunner,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        loop = asyncio.get_running_loop()
        home = threading.get_ident()

        def emit(entry: NewLogEntry) -> None:
            if threading.get_ident() == home:
                sink.write((entry,))
            elif not loop.is_closed():
                loop.call_soon_threadsafe(sink.write, (entry,))

        self._http = http
        self.attempt = Attempt(job, clock=clock, random=random, emit=emit, desk=desk)
        self.outcome: asyncio.Future[Outcome] = loop.create_future()
        self.killed = False
        self.task: asyncio.Task[Outcome] | None = None

    def start(self) -> asyncio.Task[Outcome]:
        self.task = asyncio.get_running_loop().create_task(
            self._body(), name=f"inline:{self.attempt.job.execution_id}"
        )
        return self.task

    def cancel(self) -> None:
        self.attempt.flag.requested = True
        if self.task is not None:
            self.task.cancel()

    async def _body(self) -> Outcome:
        attempt = self.attempt
        with recording(attempt.recorder):
            try:
                if attempt.job.source.kind == "http":
                    value = await self._http.run(attempt.job)
                else:
                    entry = load_python(attempt.job.source)
                    attempt.steps.enter()
                    value = await entry.call(attempt.context, attempt.job.input)
            except BaseException as error:  # noqa: BLE001 - SystemExit of a program must not end the loop
                return attempt.raised(error)
            finally:
                attempt.steps.close()
            return attempt.returned(value)

    def ended(self) -> None:
        """The task is done: the outcome is its own, unless the run was given up before."""
        task = self.task
        if task is None:
            return
        # Cancelled before its first step, a task ends without having entered its body.
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        outcome = task.result() if fault is None else self.attempt.raised(fault)
        self.attempt.recorder.close()
        if self.outcome.cancelled():
            return  # whoever waited for it went first: the runtime ends
        if self.outcome.done():
            _log.warning(
                "an abandoned program has ended",
                execution_id=self.attempt.job.execution_id,
                agent_id=self.attempt.job.agent_id,
            )
        else:
            self.outcome.set_result(Interrupted("killed") if self.killed else outcome)

    def abandon(self) -> None:
        if self.outcome.done():
            return
        self.attempt.recorder.close()
        at = _where(self.task, self.attempt.job.source.path)
        self.outcome.set_result(Abandoned(f"it holds on{at} though it was cancelled and killed"))


def _where(task: asyncio.Task[Outcome] | None, path: str) -> str:
    """` at file:line`, the innermost line of the program's own file that a suspended task waits in."""
    found = ""
    awaited: Any = task.get_coro() if task is not None else None
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        if frame.f_code.co_filename == path:
            found = f" at {path}:{frame.f_lineno}"
        awaited = awaited.cr_await
    return found
