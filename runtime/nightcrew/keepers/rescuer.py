"""The second net: hands back runs that died with their runner, and tells agents of work nobody told them of."""

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.crew.rescue import finish_stops, hand_back
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.execution import ExecutionError
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

BATCH: Final = 500

log = structlog.get_logger(__name__)


class Owners(Protocol):
    """Who knows which runs are under way in this process."""

    def owns(self, execution_id: str, lease: int) -> bool:
        """Whether the run is under way here."""


class Rescuer:
    """Sweeps at the start, then every `patience` seconds."""

    def __init__(self, *, commits: Commits, owners: Owners, clock: Clock, patience: float = PATIENCE) -> None:
        self._commits = commits
        self._owners = owners
        self._clock = clock
        self._patience = patience
        self._suspects: set[tuple[str, int]] = set()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Rescues at once what an earlier life left RUNNING, then sweeps until it is cancelled."""
        await self.recover()
        ready()
        while True:
            await self._clock.sleep(self._patience)
            try:
                await self.sweep()
            except NightcrewError as error:
                log.warning("a sweep failed", error=error.message)

    async def recover(self) -> None:
        """Hands back every RUNNING execution that is not under way here, finishes stops, tells of work."""
        count = await self._hand_back(
            lambda execution_id, lease: not self._owners.owns(execution_id, lease),
            ExecutionError(type="runtime_restarted", message="the runtime ended while it ran"),
        )
        now = self._clock.now()
        stops = await self._commits.run(lambda tx, after: finish_stops(tx, after, now=now))
        await self._tell()
        if count or stops:
            log.info("recovered", interrupted=count, stops=stops)

    async def sweep(self) -> None:
        """Tells of work; hands back what was RUNNING without an owner in the last sweep and still is."""
        before, self._suspects = self._suspects, set()

        def orphaned(execution_id: str, lease: int) -> bool:
            if self._owners.owns(execution_id, lease):
                return False
            self._suspects.add((execution_id, lease))
            return (execution_id, lease) in before

        lost = ExecutionError(type="run_lost", message="its run ended without an outcome")
        count = await self._hand_back(orphaned, lost)
        if count:
            log.error("runs had no owner and were handed back", count=count)
        await self._tell()

    async def _hand_back(self, orphaned: Callable[[str, int], bool], error: ExecutionError) -> int:
        count, last = 0, ""
        while True:
            now = self._clock.now()
            start = last
            rows = await self._commits.run(lambda tx, _after: tx.executions.running(after=start, limit=BATCH))  # noqa: B023 - run before the loop goes round
            if not rows:
                return count
            last = rows[-1].id
            lost = [row for row in rows if orphaned(row.id, row.lease)]

            def unit(tx: Transaction, after: After) -> None:
                for execution in lost:  # noqa: B023 - run before the loop goes round
                    hand_back(tx, after, execution, error=error, now=now)  # noqa: B023 - the same

            if lost:
                await self._commits.run(unit)
                count += len(lost)

    async def _tell(self) -> None:
        def unit(tx: Transaction, after: After) -> None:
            after.work.extend(tx.executions.agents_with_work())

        await self._commits.run(unit)
