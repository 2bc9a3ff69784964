"""Where programs run in a box: async ones on the loop, sync ones in threads, one at a time, others as ever."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from nightcrew.domain.log import NewLogEntry
from nightcrew.hosts.attempt import Attempt
from nightcrew.hosts.desks import FarDesk, LoopAsks
from nightcrew.hosts.process.runs import SyncRun
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Cancelled, Desk, Host, Interrupted, Job, LogSink, Outcome

Key = tuple[str, int]


class BoxHost:
    """One host over three (ports.host.Host). Python programs never leave the process: a test can patch what they use.

    Args:
        inline: Runs async functions.
        threads: Runs sync functions.
        others: Runs all else, in real time.
    """

    def __init__(self, inline: Host, threads: "ThreadHost", others: Host) -> None:
        self._inline = inline
        self._threads = threads
        self._others = others

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt where it belongs."""
        if job.source.kind != "python":
            return await self._others.run(job, sink, desk)
        return await (self._inline if job.source.is_async else self._threads).run(job, sink, desk)

    def arrived(self, execution_id: str, lease: int) -> None:
        """Passed to all: those that do not have it do nothing."""
        for host in (self._inline, self._threads, self._others):
            host.arrived(execution_id, lease)

    def cancel(self, execution_id: str, lease: int) -> None:
        """Passed to all: those that do not have it do nothing."""
        for host in (self._inline, self._threads, self._others):
            host.cancel(execution_id, lease)

    def kill(self, execution_id: str, lease: int) -> None:
        """Passed to all: those that do not have it do nothing."""
        for host in (self._inline, self._threads, self._others):
            host.kill(execution_id, lease)


class ThreadHost:
    """Sync programs in threads of this process (ports.host.Host): each begins in `work`, when the loop is idle.

    One at a time, in the order they came, so that what they do has the same order in every run of a test.
    """

    def __init__(self, clock: Clock, *, random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._known: dict[Key, _Threaded] = {}
        self._waiting: deque[_Threaded] = deque()
        self._turn = asyncio.Lock()

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt to its end. If the awaiting task is cancelled, nobody waits for the thread any more."""
        key = (job.execution_id, job.lease)
        threaded = self._known[key] = _Threaded(job, sink, desk, clock=self._clock, random=self._random)
        self._waiting.append(threaded)
        try:
            return await threaded.outcome
        finally:
            threaded.cancel()
            del self._known[key]

    def arrived(self, execution_id: str, lease: int) -> None:
        """A sync program that waits has left its thread."""

    def cancel(self, execution_id: str, lease: int) -> None:
        """Raises CancelledError into the program, at its next bytecode."""
        threaded = self._known.get((execution_id, lease))
        if threaded is not None:
            threaded.cancel()

    def kill(self, execution_id: str, lease: int) -> None:
        """Gives the thread up: a process can be killed, a thread can't."""
        threaded = self._known.get((execution_id, lease))
        if threaded is not None:
            threaded.cancel()
            threaded.end(Interrupted("killed"))

    async def work(self) -> bool:
        """Runs the next program to its end, or until it is asked to end; False if none waits."""
        async with self._turn:  # several may settle at once
            if not self._waiting:
                return False
            threaded = self._waiting.popleft()
            threaded.start()
            await threaded.settled
            return True


class _Threaded:
    """One program in its thread."""

    def __init__(
        self, job: Job, sink: LogSink, desk: Desk, *, clock: Clock, random: Callable[[], float]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        far = FarDesk(LoopAsks(desk, self._loop), blocking=True)
        self._attempt = Attempt(job, clock=clock, random=random, emit=self._emit, desk=far, sync=True)
        self._run = SyncRun(self._attempt, done=self._done)
        self._started = False
        self.outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done once nobody need wait for it: it has ended, or was asked to."""

    def start(self) -> None:
        if not self.outcome.done():
            self._started = True
            self._run.start()

    def cancel(self) -> None:
        if not self._started:
            self.end(Cancelled())
        elif not self.settled.done():
            self.settled.set_result(None)
            self._run.cancel()

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)
        if not self.settled.done():
            self.settled.set_result(None)

    def _emit(self, entry: NewLogEntry) -> None:
        with suppress(RuntimeError):  # a thread that was given up may outlive the loop
            self._loop.call_soon_threadsafe(self._write, entry)

    def _write(self, entry: NewLogEntry) -> None:
        if not self.outcome.done():
            self._sink.write((entry,))

    def _done(self, outcome: Outcome) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.end, outcome)
