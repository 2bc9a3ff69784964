"""The one writer: callers' units of work queue up, a thread of its own runs and commits them in batches."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from nightcrew.domain.errors import StoreError
from nightcrew.ports.store import Transaction
from nightcrew.store.sqlite.group import GREAT, GREAT_TIMES, GroupCommit, Job

T = TypeVar("T")

MAX_PENDING: Final = 20_000
"""How many units may wait; callers past that wait for room, so memory stays bounded."""

MAX_BATCH: Final = 1_000
LEND_SECONDS: Final = 0.006
"""For how long the event loop may be held while units run: a batch's own bound, and some more."""
CROWD: Final = 8
GATHER_SECONDS: Final = 0.001
"""After a batch of a crowd the next is handed over a moment later: those just answered have more to write, and
a commit costs the same for one unit as for fifty. A lone caller never waits for others, nor do those who fill
a batch already."""


class _Batch:
    """Jobs on their way to the thread, and the lock by which it says that their units have been run."""

    __slots__ = ("_running", "jobs", "taken")

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.taken = 0
        self._running = threading.Lock()
        self._running.acquire()

    def units_done(self) -> None:
        """Gives the interpreter back to the event loop; said again it does nothing."""
        if self._running.locked():
            self._running.release()

    def lend(self, seconds: float) -> None:
        """Keeps the event loop off the interpreter while the units are run, for so long at most."""
        self._running.acquire(timeout=seconds)


class Writer:
    """Takes units of work on the event loop and answers each after its commit.

    One batch is under way at a time; what comes meanwhile is the next. The loop lends the thread the
    interpreter while the units are run: sqlite3 lets go of the GIL at each statement, and a loop that is busy
    would give it back only after the switch interval (5 ms), so that a batch would crawl at 200 statements a
    second. The time lent is bounded, and COMMIT, which is where the disk is waited for, runs beside the loop.
    """

    def __init__(self, path: Path, *, lend_seconds: float) -> None:
        self._path = path
        self._lend_seconds = lend_seconds
        self._group = GroupCommit(path)
        self._inbox: SimpleQueue[_Batch | None] = SimpleQueue()
        self._pending: list[Job] = []
        self._room: deque[asyncio.Future[None]] = deque()
        self._entering = 0
        self._under_way = False
        self._scheduled = False
        self._open = False
        self._idle: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    @property
    def commits(self) -> int:
        """How many COMMITs there were: far fewer than units when many callers write at once."""
        return self._group.commits

    @property
    def reruns(self) -> int:
        """How many batches were run again because a unit failed after it had changed something."""
        return self._group.reruns

    @property
    def busy(self) -> bool:
        """Whether units wait, or are under way."""
        return bool(self._pending or self._under_way or self._entering)

    async def start(self) -> None:
        """Starts the thread and opens its connection.

        Raises:
            StoreError: It can't be opened; the thread has ended.
        """
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._serve, args=(opened,), name="nightcrew-writer", daemon=True
        )
        self._thread.start()
        try:
            await asyncio.shield(opened)
        except BaseException:
            self._thread = None
            self._inbox.put(None)
            raise
        self._open = True

    async def drain(self) -> None:
        """Refuses what comes from now on, commits what has come."""
        self._open = False
        if self.busy:
            self._idle = self._loop.create_future()
            await self._idle

    async def stop(self) -> None:
        """Drains, and ends the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        await self.drain()
        self._inbox.put(None)
        await asyncio.shield(self._ended)
        thread.join()

    async def submit(self, unit: Callable[[Transaction], T]) -> T:
        """Runs a unit of work and returns what it returned, after its commit (ports.store.Store.write)."""
        if not self._open:
            raise StoreError("the store is not open", metadata={"cause": "closed"})
        if len(self._pending) >= MAX_PENDING:
            await self._wait_for_room()
        future: asyncio.Future[T] = self._loop.create_future()
        self._pending.append(Job(unit, future))
        if not self._under_way and not self._scheduled:
            self._schedule()
        return await future

    async def _wait_for_room(self) -> None:
        self._entering += 1
        try:
            while len(self._pending) >= MAX_PENDING:
                room = self._loop.create_future()
                self._room.append(room)
                await room
        finally:
            self._entering -= 1

    def _schedule(self) -> None:
        # Not at once: whoever is ready to run in this turn of the loop gets into the same batch.
        self._scheduled = True
        self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        if self._under_way:
            return
        jobs = [job for job in self._pending[:MAX_BATCH] if not job.future.done()]
        del self._pending[:MAX_BATCH]
        if jobs:
            self._under_way = True
            batch = _Batch(jobs)
            self._inbox.put(batch)
            batch.lend(self._lend_seconds * (GREAT_TIMES if len(jobs) >= GREAT else 1))
        elif self._pending:
            self._schedule()
        self._make_room()
        self._settle()

    def _answer(self, batch: _Batch) -> None:
        self._under_way = False
        for job in batch.jobs[: batch.taken]:
            future = job.future
            if future.done():
                continue  # its caller was cancelled meanwhile; what it asked for is committed all the same
            if job.error is not None:
                future.set_exception(job.error)
            else:
                future.set_result(job.value)
        self._pending[:0] = batch.jobs[batch.taken :]
        if batch.taken >= CROWD and len(self._pending) < GREAT and not self._scheduled:
            self._scheduled = True
            self._loop.call_later(GATHER_SECONDS, self._hand_over)
        elif self._pending and not self._scheduled:
            self._schedule()
        self._settle()

    def _make_room(self) -> None:
        # Who is woken and cancelled in the same turn wastes its place until the next batch, no longer.
        free = MAX_PENDING - len(self._pending)
        while free > 0 and self._room:
            room = self._room.popleft()
            if not room.done():
                room.set_result(None)
                free -= 1

    def _settle(self) -> None:
        if self._idle and not (self.busy or self._idle.done()):
            self._idle.set_result(None)

    def _serve(self, opened: "asyncio.Future[None]") -> None:
        """The thread: a batch, a commit, one call back for all of its callers."""
        try:
            self._group.open()
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._tell(opened.set_exception, error)
        else:
            self._tell(opened.set_result, None)
        while (batch := self._inbox.get()) is not None:
            try:
                batch.taken = self._group.run(batch.jobs, batch.units_done)
            except BaseException as error:  # noqa: BLE001 - callers must be answered whatever happens
                self._group.close()
                batch.taken = len(batch.jobs)
                for job in batch.jobs:
                    job.error = StoreError(f"the writer failed: {error!r}", metadata={"cause": "writer"})
                    job.error.__cause__ = error
            batch.units_done()
            self._tell(self._answer, batch)
            del batch
        self._group.close()
        self._tell(self._ended.set_result, None)

    def _tell(self, callback: Callable[[Any], object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            # The loop was closed under a store that was not: nobody is left to be told.
            self._inbox.put(None)
