"""Keeps what executions say: entries are gathered a moment, then written together, guarded by their lease."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.log import LogStream, NewLogEntry, Severity
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

GATHER: Final = 0.05
"""Seconds that entries are gathered: a streamed token is seen by watchers after so long at most."""
RETRY: Final = 1.0
"""Seconds until entries that the store refused are offered again."""
MAX_PENDING: Final = 20_000
"""Entries that a run keeps at most while they can't be written; what comes then is counted and named."""

log = structlog.get_logger(__name__)


class RunLog:
    """What one run has said and is not written yet; a LogSink for its host."""

    __slots__ = ("_dropped", "_pending", "_writer", "execution_id", "lease")

    def __init__(self, writer: "LogWriter", execution_id: str, lease: int) -> None:
        self._writer = writer
        self._pending: list[NewLogEntry] = []
        self._dropped = 0
        self.execution_id = execution_id
        self.lease = lease

    def write(self, entries: Sequence[NewLogEntry]) -> None:
        """Takes entries; they are written soon, or with the run's outcome."""
        if not self._pending:
            self._writer.note(self)
        room = MAX_PENDING - len(self._pending)
        self._pending.extend(entries if len(entries) <= room else entries[: max(room, 0)])
        self._dropped += max(0, len(entries) - max(room, 0))

    def take(self) -> list[NewLogEntry]:
        """What is not written yet; it is the caller's to write now."""
        taken, self._pending = self._pending, []
        if self._dropped:
            text = f"{self._dropped} log entries left out: they came faster than they could be written"
            taken.append(
                replace(taken[-1], message=text, severity=Severity.WARNING, stream=LogStream.LOG, fields=None)
            )
            self._dropped = 0
        return taken

    def put_back(self, entries: list[NewLogEntry]) -> None:
        """Takes back what could not be written, before what came since."""
        if entries:
            self._pending[:0] = entries
            self._writer.note(self)


class LogWriter:
    """Writes the entries of all runs in one unit of work, a moment after the first came."""

    def __init__(self, commits: Commits, clock: Clock) -> None:
        self._commits = commits
        self._clock = clock
        self._noted: dict[RunLog, None] = {}
        self._wanted = asyncio.Event()

    def open(self, execution_id: str, lease: int) -> RunLog:
        """A sink for one run."""
        return RunLog(self, execution_id, lease)

    def note(self, run: RunLog) -> None:
        """A run has something to write."""
        self._noted[run] = None
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
        noted, self._noted = self._noted, {}
        batch = [(run, entries) for run in noted if (entries := run.take())]
        if not batch:
            return

        try:
            await self._write(batch)
        except NightcrewError:
            for run, entries in batch:
                run.put_back(entries)
            raise
        except Exception:
            log.exception("log entries can't be written; those that can are written one run at a time")
            await self._write_each(batch)

    async def _write_each(self, batch: Sequence[tuple[RunLog, list[NewLogEntry]]]) -> None:
        """Entries of one run that can't be written must not keep the others' from it."""
        for run, entries in batch:
            try:
                await self._write([(run, entries)])
            except NightcrewError:
                run.put_back(entries)
            except Exception:
                log.exception("log entries are lost", execution_id=run.execution_id, count=len(entries))

    async def _write(self, batch: Sequence[tuple[RunLog, list[NewLogEntry]]]) -> None:
        def unit(tx: Transaction, after: After) -> None:
            for run, entries in batch:
                if tx.logs.append(run.execution_id, entries, lease=run.lease):
                    after.logs = True

        await self._commits.run(unit)
