"""The one writer: callers' units of work queue up, and a lane runs and commits them in batches."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from nightcrew.domain.errors import StoreError
from nightcrew.ports.store import Transaction
from nightcrew.store.sqlite.group import GREAT, Job
from nightcrew.store.sqlite.lane import Batch, Lane

T = TypeVar("T")

MAX_PENDING: Final = 20_000
"""How many units may wait; callers past that wait for room, so memory stays bounded."""

MAX_BATCH: Final = 1_000
CROWD: Final = 8
GATHER_SECONDS: Final = 0.001
"""After a batch of a crowd the next is handed over a moment later: those just answered have more to write, and
a commit costs the same for one unit as for fifty. A lone caller never waits for others, nor do those who fill
a batch already."""


class Writer:
    """Takes units of work on the event loop and answers each after its commit.

    One batch is under way at a time; what comes meanwhile is the next.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._pending: list[Job] = []
        self._room: deque[asyncio.Future[None]] = deque()
        self._entering = 0
        self._under_way = False
        self._scheduled = False
        self._open = False
        self._started = False
        self._idle: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def commits(self) -> int:
        """How many COMMITs there were: far fewer than units when many callers write at once."""
        return self._lane.group.commits

    @property
    def reruns(self) -> int:
        """How many batches were run again because a unit failed after it had changed something."""
        return self._lane.group.reruns

    @property
    def busy(self) -> bool:
        """Whether units wait, or are under way."""
        return bool(self._pending or self._under_way or self._entering)

    async def start(self) -> None:
        """Opens the lane and takes units from now on.

        Raises:
            StoreError: It can't be opened.
        """
        self._loop = asyncio.get_running_loop()
        await self._lane.start(self._answer)
        self._started = self._open = True

    async def drain(self) -> None:
        """Refuses what comes from now on, commits what has come."""
        self._open = False
        if self.busy:
            self._idle = self._loop.create_future()
            await self._idle

    async def stop(self) -> None:
        """Drains, and closes the lane."""
        if self._started:
            self._started = False
            await self.drain()
            await self._lane.stop()

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
            self._lane.run(Batch(jobs))
        elif self._pending:
            self._schedule()
        self._make_room()
        self._settle()

    def _answer(self, batch: Batch) -> None:
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
        crowd = self._lane.gathers and batch.taken >= CROWD
        if crowd and len(self._pending) < GREAT and not self._scheduled:
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
