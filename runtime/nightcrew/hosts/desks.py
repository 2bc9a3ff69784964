"""Desks for programs that are not on the runtime's loop: answers come as futures, from another thread."""

import asyncio
from concurrent.futures import Future
from typing import Final, Protocol, TypeVar

from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Step
from nightcrew.hosts.reports import LoopReports
from nightcrew.ports.host import Desk

T = TypeVar("T")

_LOOK: Final = 0.05
"""Seconds after which a thread that waits runs a bytecode, so that a cancel gets through to it."""


class Asks(Protocol):
    """What a desk is asked, from any thread."""

    def write(self, step: Step) -> Future[Step]:
        """As Desk.write."""

    def settle(self, key: str) -> Future[Step]:
        """As Desk.settle."""

    def save_memory(self, memory: str) -> Future[None]:
        """As Desk.save_memory."""

    def beat(self) -> None:
        """As Desk.beat."""

    def report(self, progress: Progress) -> None:
        """As Desk.report."""


class FarDesk:
    """A desk at the end of a way (ports.host.Desk); for a sync program it blocks the thread until it is answered."""

    def __init__(self, asks: Asks, *, blocking: bool) -> None:
        self._asks = asks
        self._blocking = blocking

    async def write(self, step: Step) -> Step:
        """Journals a step."""
        return await self._answer(self._asks.write(step))

    async def settle(self, key: str) -> Step:
        """The step as it is now."""
        return await self._answer(self._asks.settle(key))

    async def save_memory(self, memory: str) -> None:
        """Saves `ctx.state`."""
        await self._answer(self._asks.save_memory(memory))

    def beat(self) -> None:
        """Gives a sign of life."""
        self._asks.beat()

    def report(self, progress: Progress) -> None:
        """Says how far it has got."""
        self._asks.report(progress)

    async def _answer(self, future: Future[T]) -> T:
        if not self._blocking:
            return await asyncio.wrap_future(future)
        while True:
            try:
                return future.result(timeout=_LOOK)
            except TimeoutError:
                if future.done():
                    raise


class LoopAsks:
    """Asks a desk that is on a loop of this process, from a thread."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self._desk = desk
        self._loop = loop
        self.report = LoopReports(desk.report, loop).tell

    def write(self, step: Step) -> Future[Step]:
        """As Desk.write."""
        return asyncio.run_coroutine_threadsafe(self._desk.write(step), self._loop)

    def settle(self, key: str) -> Future[Step]:
        """As Desk.settle."""
        return asyncio.run_coroutine_threadsafe(self._desk.settle(key), self._loop)

    def save_memory(self, memory: str) -> Future[None]:
        """As Desk.save_memory."""
        return asyncio.run_coroutine_threadsafe(self._desk.save_memory(memory), self._loop)

    def beat(self) -> None:
        """As Desk.beat."""
        self._loop.call_soon_threadsafe(self._desk.beat)
