"""Keeps what executions say: entries are gathered a moment, then written together, guarded by their lease."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.log import NewLogEntry
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

GATHER: Final = 0.05
"""Seconds that entries are gathered: a streamed token is seen by watchers after so long at most."""
RETRY: Final = 1.0
"""Seconds until entries that the store refused are offered again."""

log = structlog.get_logger(__name__)


class RunLog:
    """What one run has said and is not written yet; a LogSink for its host."""

    __slots__ = ("_pending", "_writer", "execution_id", "lease")

    def __init__(self, writer: "LogWriter", execution_id: str, lease: int) -> None:
        self._writer = writer
        self._pending: list[NewLogEntry] = []
        self.execution_id = execution_id
        self.lease = lease

    def write(self, entries: Sequence[NewLogEntry]) -> None:
        """Takes entries; they are written soon, or with the run's outcome."""
        if not self._pending:
            self._writer.note(self)
        self._pending.extend(entries)

    def take(self) -> list[NewLogEntry]:
        """What is not written yet; it is the caller's to write now."""
        taken, self._pending = self._pending, []
        return taken

    def put_back(self, entries: list[NewLogEntry]) -> None:
        """Takes back what could not be written, before what came since."""
        self._pending[:0] = entries
        self._writer.note(self)


class LogWriter:
    """Writes the entries of all runs in one unit of work, a moment after the first came."""

    def __init__(self, commits: Commits, clock: Clock) -> None:
        self._commits = commits
        self._clock = clock
        self._noted: set[RunLog] = set()
        self._wanted = asyncio.Event()

    def open(self, execution_id: str, lease: int) -> RunLog:
        """A sink for one run."""
        return RunLog(self, execution_id, lease)

    def note(self, run: RunLog) -> None:
        """A run has something to write."""
        self._noted.add(run)
        self._wanted.set()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Writes until it is cancelled; a store that fails is tried again, the entries are kept meanwhile."""
        ready()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._clock.sleep(GATHER)
            try:
                await self.flush()
            except NightcrewError as error:
                log.warning("log entries wait: the store failed", error=error.message)
                await self._clock.sleep(RETRY)

    async def flush(self) -> None:
        """Writes all that is gathered; entries of a lost lease are dropped by the store's guard.

        Raises:
            NightcrewError: The store failed; the entries are kept for the next time.
        """
        noted, self._noted = self._noted, set()
        batch = [(run, entries) for run in noted if (entries := run.take())]
        if not batch:
            return

        def unit(tx: Transaction, after: After) -> None:
            for run, entries in batch:
                if tx.logs.append(run.execution_id, entries, lease=run.lease):
                    after.logs = True

        try:
            await self._commits.run(unit)
        except NightcrewError:
            for run, entries in batch:
                run.put_back(entries)
            raise
