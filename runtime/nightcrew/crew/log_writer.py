"""Keeps what executions say, their log and their progress: gathered a moment, written together, guarded by leases."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.log import LogStream, NewLogEntry, Severity
from nightcrew.domain.progress import Progress
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

GATHER: Final = 0.05
"""Seconds that entries are gathered: a streamed token is seen by watchers after so long at most."""
RETRY: Final = 1.0
"""Seconds until entries that the store refused are offered again."""
REPORT_EVERY: Final = 1.0
"""Seconds between two writes of one run's progress, at least; what it says in between is in memory only."""
MAX_PENDING: Final = 20_000
"""Entries that a run keeps at most while they can't be written; what comes then is counted and named."""

log = structlog.get_logger(__name__)


class Said(NamedTuple):
    """What one run has said, on its way to the store."""

    run: "RunLog"
    entries: list[NewLogEntry]
    progress: Progress | None


class RunLog:
    """What one run has said and is not written yet; a LogSink for its host."""

    __slots__ = ("_dropped", "_next", "_pending", "_progress", "_writer", "execution_id", "lease")

    def __init__(self, writer: "LogWriter", execution_id: str, lease: int) -> None:
        self._writer = writer
        self._pending: list[NewLogEntry] = []
        self._dropped = 0
        self._progress: Progress | None = None
        self._next = 0.0
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

    def report(self, progress: Progress) -> None:
        """Takes how far the run has got, in place of what it said before; an older one that comes late is dropped."""
        before, self._progress = self._progress, progress
        if before is None:
            self._writer.note_at(self, self._next)
        elif before.time > progress.time:
            self._progress = before

    def take_progress(self, now: float | None = None) -> Progress | None:
        """What is not written yet, which is the caller's to write; None also if it is not its time yet."""
        if self._progress is None or (now is not None and now < self._next):
            return None
        taken, self._progress = self._progress, None
        self._next = (now or 0.0) + REPORT_EVERY
        return taken

    def put_back_progress(self, progress: Progress) -> None:
        """Takes back what could not be written, unless more was said since."""
        if self._progress is None:
            self._progress = progress
            self._writer.note_at(self, self._next)


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

    def note_at(self, run: RunLog, moment: float) -> None:
        """A run will have something to write at a moment of the monotonic clock."""
        wait = moment - self._clock.monotonic()
        if wait <= 0:
            self.note(run)
        else:
            self._clock.call_later(wait, lambda: self.note(run))

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
        now = self._clock.monotonic()
        taken = [Said(run, run.take(), run.take_progress(now)) for run in noted]
        batch = [one for one in taken if one.entries or one.progress is not None]
        if not batch:
            return

        try:
            await self._write(batch)
        except NightcrewError:
            for said in batch:
                _put_back(said)
            raise
        except Exception:
            log.exception("log entries can't be written; those that can are written one run at a time")
            await self._write_each(batch)

    async def _write_each(self, batch: Sequence[Said]) -> None:
        """Entries of one run that can't be written must not keep the others' from it."""
        for said in batch:
            try:
                await self._write([said])
            except NightcrewError:
                _put_back(said)
            except Exception:
                log.exception(
                    "log entries are lost", execution_id=said.run.execution_id, count=len(said.entries)
                )

    async def _write(self, batch: Sequence[Said]) -> None:
        def unit(tx: Transaction, after: After) -> None:
            for run, entries, progress in batch:
                if entries and tx.logs.append(run.execution_id, entries, lease=run.lease):
                    after.logs = True
                if progress is not None and tx.logs.report(run.execution_id, progress, lease=run.lease):
                    after.progress = True

        await self._commits.run(unit)


def _put_back(said: Said) -> None:
    said.run.put_back(said.entries)
    if said.progress is not None:
        said.run.put_back_progress(said.progress)
