"""Group commit on one connection: many units of work, one COMMIT, and each unit's fault its own."""

import sqlite3
from asyncio import Future
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from nightcrew.domain.errors import StoreError
from nightcrew.ports.secrets import Secrets
from nightcrew.ports.store import Transaction
from nightcrew.store.sqlite.connection import open_writer
from nightcrew.store.sqlite.faults import Damage, answerable, commit_failed, translated
from nightcrew.store.sqlite.transaction import SqliteTransaction

BATCH_SECONDS: Final = 0.004
"""How long units are run before those that were are committed: bounds how long anyone waits for others."""
GREAT: Final = 200
"""So many units at once, such as a thousand schedules that are due together, do not fit into one such batch."""
GREAT_TIMES: Final = 4
"""How many times as long a batch of theirs may take: what the commits between would cost is saved for all."""


class Job:
    """A caller's unit of work on its way, and what became of it."""

    __slots__ = ("error", "future", "unit", "value")

    def __init__(self, unit: Callable[[Transaction], Any], future: "Future[Any]") -> None:
        self.unit = unit
        self.future = future
        self.value: Any = None
        self.error: BaseException | None = None


class _Spoilt(Exception):  # noqa: N818 - no fault of anyone's: the signal to run a batch again, more carefully
    def __init__(self, taken: int) -> None:
        super().__init__(taken)
        self.taken = taken


class GroupCommit:
    """The writer's connection; it lives in the writer's thread and nowhere else.

    A batch is first run without savepoints, which would cost 4 µs a unit: a unit that fails before it has
    changed a row (nearly all that fail do) has nothing to undo. If one fails later, the batch is rolled back and
    run again with a savepoint a unit; if one ends the whole transaction, as a full disk does, each unit gets a
    transaction of its own. Nobody is answered before the last COMMIT.

    Args:
        path: The file.
        bounded: Whether a batch is cut when it has taken long.
        synced: Whether a commit waits until the disk has it; without, it outlives the process, not the machine.
        vault: What seals secrets.
        damage: Where it is noted that the file is damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        bounded: bool = True,
        synced: bool = True,
        vault: Secrets | None = None,
        damage: Damage | None = None,
    ) -> None:
        self._path = path
        self._damage = damage or Damage()
        self._bounded = bounded
        self._synced = synced
        self._vault = vault
        self._connection: sqlite3.Connection | None = None
        self._transaction: SqliteTransaction | None = None
        self._version = 0
        self.commits = 0
        self.reruns = 0

    def open(self) -> tuple[sqlite3.Connection, SqliteTransaction]:
        """The connection and its transaction, opened anew if a fault has closed it.

        Raises:
            StoreError: It can't be opened.
        """
        if self._connection is None or self._transaction is None:
            try:
                connection = open_writer(self._path, synced=self._synced)
            except sqlite3.Error as error:
                raise translated(error, self._path) from error
            self._connection, self._transaction = connection, SqliteTransaction(connection, self._vault)
        return self._connection, self._transaction

    def close(self) -> None:
        """Closes the connection; what was not committed is gone."""
        connection, self._connection, self._transaction = self._connection, None, None
        if connection is not None:
            connection.close()

    def run(self, jobs: Sequence[Job], units_done: Callable[[], None]) -> int:
        """Runs jobs from the first on and commits them, filling in their values and errors.

        Args:
            jobs: What is to be done.
            units_done: Called when the units have been run and only the disk is waited for.

        Returns:
            How many of the jobs were taken; the others belong to the next batch.
        """
        for way in (self._plainly, self._with_savepoints, self._one_by_one):
            try:
                return way(jobs, units_done)
            except _Spoilt as spoilt:
                jobs = jobs[: spoilt.taken]
                self.reruns += 1
                self._rollback()
            except (sqlite3.Error, StoreError) as error:
                # BEGIN or COMMIT itself was refused: begin the next batch on a fresh connection.
                self.close()
                self._fail(jobs, error)
                return len(jobs)
        raise AssertionError("the last way spoils nothing")

    def _plainly(self, jobs: Sequence[Job], units_done: Callable[[], None]) -> int:
        connection, transaction = self._begin()
        taken, until = 0, perf_counter() + BATCH_SECONDS * (GREAT_TIMES if len(jobs) >= GREAT else 1)
        for job in jobs:
            changes = connection.total_changes
            taken += 1
            self._run(job, transaction)
            if not connection.in_transaction or (job.error and connection.total_changes != changes):
                raise _Spoilt(taken)
            if self._bounded and perf_counter() > until:
                break
        units_done()
        self._commit(connection, jobs[:taken])
        return taken

    def _with_savepoints(self, jobs: Sequence[Job], units_done: Callable[[], None]) -> int:
        connection, transaction = self._begin()
        for job in jobs:
            connection.execute("SAVEPOINT unit")
            self._run(job, transaction)
            if not connection.in_transaction:
                raise _Spoilt(len(jobs))
            if job.error:
                connection.execute("ROLLBACK TO unit")
                transaction.undone()
            connection.execute("RELEASE unit")
        units_done()
        self._commit(connection, jobs)
        return len(jobs)

    def _one_by_one(self, jobs: Sequence[Job], units_done: Callable[[], None]) -> int:
        units_done()  # the disk is waited for between all of them
        for job in jobs:
            try:
                connection, transaction = self._begin()
                self._run(job, transaction)
                if job.error:
                    self._rollback()
                else:
                    self._commit(connection, [job])
            except (sqlite3.Error, StoreError) as error:
                self.close()
                self._fail([job], error)
        return len(jobs)

    def _begin(self) -> tuple[sqlite3.Connection, SqliteTransaction]:
        self._damage.refuse()
        connection, transaction = self.open()
        connection.execute("BEGIN IMMEDIATE")
        # Nobody else should write, but a person with an sqlite3 shell can; this number tells.
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            transaction.forget_all()
        return connection, transaction

    def _run(self, job: Job, transaction: SqliteTransaction) -> None:
        job.value = job.error = None
        try:
            job.value = job.unit(transaction)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is its caller's and must not end the writer
            job.error = answerable(error, self._path)
            self._damage.look(job.error)

    def _commit(self, connection: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        try:
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.close()
            # Those that had failed by themselves too: what they saw of the others' work is not there now.
            for job in jobs:
                job.value, job.error = None, commit_failed(error, self._path)
                self._damage.look(job.error)
        else:
            self.commits += 1
            if self._transaction is not None:
                self._transaction.committed()

    def _rollback(self) -> None:
        connection, transaction = self._connection, self._transaction
        if transaction is not None:
            transaction.undone()
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()  # closing rolls back too, whatever stood in the way

    def _fail(self, jobs: Sequence[Job], error: sqlite3.Error | StoreError) -> None:
        # An error a caller: one shared by many would gather the tracebacks of all of them.
        for job in jobs:
            told = translated(error, self._path) if isinstance(error, sqlite3.Error) else error
            job.value, job.error = None, StoreError(told.message, metadata=told.metadata)
            self._damage.look(told)
            job.error.__cause__ = error
