"""The desk of a run: its program's journal entries become units of work; what it answers is on disk."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.crew.journaling import save_memory, settle_step, write_step
from nightcrew.crew.log_writer import RunLog
from nightcrew.domain.errors import Unavailable
from nightcrew.domain.execution import Execution
from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Step
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

T = TypeVar("T")

STORE_RETRY: Final = 1.0
"""Seconds between tries while the store fails: the program waits, since what it did must not be forgotten."""

log = structlog.get_logger(__name__)


class RunDesk:
    """One run's way to its journal (ports.host.Desk).

    Args:
        execution: As it was claimed: its lease guards every write.
        commits: The way to the store.
        clock: The clock.
        beat: Takes each sign of life.
        log: Takes how far it has got.
    """

    __slots__ = ("_beat", "_clock", "_commits", "_execution", "_log")

    def __init__(
        self, execution: Execution, *, commits: Commits, clock: Clock, beat: Callable[[], None], log: RunLog
    ) -> None:
        self._execution = execution
        self._commits = commits
        self._clock = clock
        self._beat = beat
        self._log = log

    async def write(self, step: Step) -> Step:
        """Journals a step; written twice it is one."""
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Step:
            return write_step(tx, after, self._execution, step, now=now)

        return await self._once_it_heals(lambda: self._commits.run(unit))

    async def settle(self, key: str) -> Step:
        """The step as it is now."""
        now = self._clock.now()

        def unit(tx: Transaction, _: After) -> Step:
            return settle_step(tx, self._execution, key, now=now)

        return await self._once_it_heals(lambda: self._commits.run(unit))

    async def save_memory(self, memory: str) -> None:
        """Saves `ctx.state`."""

        def unit(tx: Transaction, _: After) -> None:
            save_memory(tx, self._execution, memory)

        await self._once_it_heals(lambda: self._commits.run(unit))

    def beat(self) -> None:
        """Takes a sign of life."""
        self._beat()

    def report(self, progress: Progress) -> None:
        """Takes how far it has got."""
        self._beat()
        self._log.report(replace(progress, attempt=self._execution.attempt))

    async def _once_it_heals(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning(
                    "a journal waits: the store failed", execution_id=self._execution.id, error=error.message
                )
                await self._clock.sleep(STORE_RETRY)
