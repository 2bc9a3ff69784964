"""The store on one SQLite file: lock, migrations, the writer and the readers, opened and closed in order."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from nightcrew.domain.errors import StoreError
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.secrets import Secrets
from nightcrew.ports.store import Transaction
from nightcrew.store.sqlite.connection import open_loop_reader
from nightcrew.store.sqlite.faults import Damage
from nightcrew.store.sqlite.folder import FILE_NAME, make_folder
from nightcrew.store.sqlite.group import GroupCommit
from nightcrew.store.sqlite.history import History, read_note, settle, write_note
from nightcrew.store.sqlite.lane import LEND_SECONDS, Lane, LoopLane, ThreadLane
from nightcrew.store.sqlite.lock import FolderLock
from nightcrew.store.sqlite.migrate import shipped
from nightcrew.store.sqlite.pool import ReaderPool
from nightcrew.store.sqlite.preparing import prepare
from nightcrew.store.sqlite.reads import SqliteReads
from nightcrew.store.sqlite.transaction import SqliteTransaction
from nightcrew.store.sqlite.writer import Writer

T = TypeVar("T")


class SqliteStore:
    """Implements ports.store.Store on `<folder>/nightcrew.db`; can be opened again after it was closed.

    Args:
        folder: The data folder; made if it is missing.
        clock: Dates the migrations.
        ids: Gives a new or restored file its incarnation.
        vault: What seals the secrets of webhooks; without it none can be kept.
        lend_seconds: How long the event loop may be held while a batch of units runs (lane.ThreadLane tells why).
        on_loop: Run units and reads on the event loop itself and sync nothing: for tests, where an order that
            is always the same and no hops between threads are worth more than a loop that is never held up.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        ids: Ids,
        vault: Secrets | None = None,
        lend_seconds: float = LEND_SECONDS,
        on_loop: bool = False,
    ) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._clock = clock
        self._ids = ids
        self._lock = FolderLock(folder)
        self._damage = damage = Damage()
        if on_loop:
            # Unbounded: how far a batch gets must not hang on how fast the machine is.
            lane: Lane = LoopLane(
                GroupCommit(self._path, bounded=False, synced=False, vault=vault, damage=damage)
            )
            self._pool = ReaderPool(self._path, size=1, connect=open_loop_reader, damage=damage)
        else:
            lane = ThreadLane(GroupCommit(self._path, vault=vault, damage=damage), lend_seconds=lend_seconds)
            self._pool = ReaderPool(self._path, damage=damage)
        self._writer = Writer(lane)
        self._reads = SqliteReads(self._pool, vault)
        self._incarnation = ""
        self._open = False
        self._turning = False

    @property
    def incarnation(self) -> str:
        """New whenever sequences may have been used by another history; known once the store is open."""
        return self._incarnation

    @property
    def damage(self) -> str:
        """What was found if the file turned out to be damaged (ports.store.Store); empty if it did not."""
        return self._damage.found

    @property
    def location(self) -> str:
        """What GetRuntime shows, such as `sqlite:.nightcrew/nightcrew.db`."""
        return f"sqlite:{self._path}"

    @property
    def reads(self) -> SqliteReads:
        """Reads beside the writer."""
        return self._reads

    @property
    def commits(self) -> int:
        """How many COMMITs there were: many callers' units share one."""
        return self._writer.commits

    @property
    def busy(self) -> bool:
        """Whether it opens or closes, or somebody waits for it: virtual time stands still meanwhile."""
        return self._turning or self._writer.busy or self._pool.busy

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """Runs a unit of work and returns what it returned, after its commit (ports.store.Store)."""
        return await self._writer.submit(unit)

    async def open(self) -> None:
        """Opens the file, migrates it, takes the lock; raises StoreError with what to do if it can't."""
        if self._open:
            raise StoreError("the store is open already", metadata={"cause": "open"})
        make_folder(self._folder)
        self._lock.take()
        self._damage.found = ""
        self._turning = True
        try:
            await asyncio.to_thread(prepare, self._path, shipped(), now=self._clock.now())
            await self._writer.start()
            await self._pool.open()
            self._incarnation = await self._settle_history()
        except BaseException:
            await self._shut()
            raise
        finally:
            self._turning = False
        self._open = True

    async def close(self) -> None:
        """Commits what is under way, refuses what comes after, closes the file; again, it does nothing."""
        if self._open:
            self._open, self._turning = False, True
            try:
                await self._shut()
            finally:
                self._turning = False

    async def _settle_history(self) -> str:
        note, identity = read_note(self._folder), self._ids.uuid7()
        history = await self._writer.submit(
            lambda tx: settle(cast("SqliteTransaction", tx), note=note, identity=identity)
        )
        write_note(self._folder, history)
        return history.incarnation

    async def _shut(self) -> None:
        # Each step is taken whatever becomes of the one before. The writer goes last of the connections, since
        # the last one folds the log into the file, and the lock only when nothing can write any more.
        try:
            await self._writer.drain()
            await self._note_how_far()
        finally:
            try:
                await self._pool.close()
            finally:
                await self._writer.stop()
                self._lock.release()

    async def _note_how_far(self) -> None:
        # A note that stays behind does no harm, so a store that can't be read or written closes without.
        if self._incarnation:
            with contextlib.suppress(StoreError):
                _, newest = await self._reads.event_bounds()
                write_note(self._folder, History(self._incarnation, newest))
