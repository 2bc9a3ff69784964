"""Where batches of units are run: in the writer's own thread, or, for tests in a box, on the event loop itself."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, Protocol

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.group import GREAT, GREAT_TIMES, GroupCommit, Job

LEND_SECONDS: Final = 0.006
"""For how long the event loop may be held while units run: a batch's own bound, and some more."""

Answer = Callable[["Batch"], None]
"""Called on the loop when a batch has been committed, or has failed: its jobs have their values and errors."""


class Batch:
    """Jobs on their way to a lane, and the lock by which a thread says that their units have been run."""

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

    def run(self, group: GroupCommit) -> None:
        """Runs and commits, whatever happens: the callers must be answered."""
        try:
            self.taken = group.run(self.jobs, self.units_done)
        except BaseException as error:  # noqa: BLE001 - callers must be answered whatever happens
            group.close()
            self.taken = len(self.jobs)
            for job in self.jobs:
                job.error = StoreError(f"the writer failed: {error!r}", metadata={"cause": "writer"})
                job.error.__cause__ = error
        self.units_done()


class Lane(Protocol):
    """Runs one batch at a time.

    Attributes:
        group: The connection that commits.
        gathers: Whether a moment's wait after a crowd's batch is worth it.
    """

    group: GroupCommit
    gathers: bool

    async def start(self, answer: Answer) -> None:
        """Opens the connection; StoreError if that can't be done, and nothing is left open."""

    def run(self, batch: Batch) -> None:
        """Takes a batch; the one before it has been answered."""

    async def stop(self) -> None:
        """Closes the connection after the last batch."""


class ThreadLane:
    """A thread of its own.

    The loop lends it the interpreter while units are run: sqlite3 lets go of the GIL at each statement, and a
    loop that is busy would give it back only after the switch interval (5 ms), so that a batch would crawl at
    200 statements a second. The time lent is bounded, and COMMIT, which is where the disk is waited for, runs
    beside the loop.
    """

    def __init__(self, group: GroupCommit, *, lend_seconds: float) -> None:
        self.group = group
        self.gathers = True
        self._lend_seconds = lend_seconds
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._ended: asyncio.Future[None]

    async def start(self, answer: Answer) -> None:
        """Starts the thread and opens its connection (Lane)."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(
            target=self._serve, args=(opened, answer), name="nightcrew-writer", daemon=True
        )
        self._thread.start()
        try:
            await asyncio.shield(opened)
        except BaseException:
            self._thread = None
            self._inbox.put(None)
            raise

    def run(self, batch: Batch) -> None:
        """Hands a batch to the thread, and lends it the interpreter."""
        self._inbox.put(batch)
        batch.lend(self._lend_seconds * (GREAT_TIMES if len(batch.jobs) >= GREAT else 1))

    async def stop(self) -> None:
        """Ends the thread."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._inbox.put(None)
        await asyncio.shield(self._ended)
        thread.join()

    def _serve(self, opened: "asyncio.Future[None]", answer: Answer) -> None:
        """The thread: a batch, a commit, one call back for all of its callers."""
        try:
            self.group.open()
        except BaseException as error:  # noqa: BLE001 - start() raises it
            self._tell(opened.set_exception, error)
        else:
            self._tell(opened.set_result, None)
        while (batch := self._inbox.get()) is not None:
            batch.run(self.group)
            self._tell(answer, batch)
            del batch
        self.group.close()
        self._tell(self._ended.set_result, None)

    def _tell(self, callback: Callable[[Any], object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:
            # The loop was closed under a store that was not: nobody is left to be told.
            self._inbox.put(None)


class LoopLane:
    """The event loop itself: no hop, and units run in the order they came, the same in every run of a test.

    A statement that takes long holds up the loop meanwhile: nothing for a runtime that serves.
    """

    def __init__(self, group: GroupCommit) -> None:
        self.group = group
        self.gathers = False
        self._answer: Answer

    async def start(self, answer: Answer) -> None:
        """Opens the connection (Lane)."""
        self._answer = answer
        self.group.open()

    def run(self, batch: Batch) -> None:
        """Runs a batch at once."""
        batch.run(self.group)
        self._answer(batch)

    async def stop(self) -> None:
        """Closes the connection."""
        self.group.close()
