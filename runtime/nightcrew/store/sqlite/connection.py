"""Opens SQLite connections: the writer's own, the readers', and the settings that both must have."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import aiosqlite

from nightcrew.domain.errors import StoreError

BUSY_SECONDS: Final = 2.0
"""How long a statement waits for another process that holds the file (a backup, a curious sqlite3 shell)."""

_STATEMENTS: Final = 512
_WRITER: Final = (
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA trusted_schema = OFF",
    # Debian builds SQLite with secure_delete on, which rewrites whole freed pages; FAST costs no extra pages.
    "PRAGMA secure_delete = FAST",
    # 8 MiB between checkpoints: the default of 4 MiB makes a burst copy its hot index pages twice as often.
    "PRAGMA wal_autocheckpoint = 2000",
    # A log that a long reader let grow is cut back to this once it is reset.
    "PRAGMA journal_size_limit = 67108864",
)
_READER: Final = (
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)


def address(path: Path, mode: str) -> str:
    """The URI of a file in a mode; `rw` never makes a file that is gone anew, and empty."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def open_writer(path: Path, *, synced: bool = True) -> sqlite3.Connection:
    """The writer's connection, transactions left to the caller; sqlite3.Error if it can't be opened.

    Args:
        path: The file.
        synced: Acknowledged means synced: the log is, at every commit. A test in a box need not wait for that.

    Raises:
        StoreError: The file's folder can't hold a write-ahead log.
    """
    connection = sqlite3.connect(
        address(path, "rw"),
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=_STATEMENTS,
        uri=True,
    )
    try:
        _keep_a_log(connection, path)
        connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'OFF'}")
        for pragma in _WRITER:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_a_log(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"{path} can't be kept with a write-ahead log (SQLite chose {mode!r}): put the data folder on a local"
            " disk",
            metadata={"cause": "no_wal"},
        )


class Reader(Protocol):
    """A connection that can only read."""

    async def execute_fetchall(self, sql: str, parameters: Iterable[Any] = ..., /) -> Iterable[Any]:
        """All rows of one SELECT; sqlite3.Error if SQLite refuses it, ValueError if it is closed."""

    async def close(self) -> None:
        """Closes it after what it is doing."""


class LoopReader:
    """A Reader on the event loop itself: a SELECT is done before anything else happens."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def execute_fetchall(self, sql: str, parameters: Iterable[Any] = (), /) -> Iterable[Any]:
        """All rows of one SELECT (Reader)."""
        return self._connection.execute(sql, tuple(parameters)).fetchall()

    async def close(self) -> None:
        """Closes it."""
        self._connection.close()


async def open_loop_reader(path: Path) -> Reader:
    """A Reader on the event loop; sqlite3.Error if it can't be opened."""
    connection = sqlite3.connect(
        address(path, "ro"),
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=_STATEMENTS,
        uri=True,
    )
    for pragma in _READER:
        connection.execute(pragma)
    return LoopReader(connection)


async def open_reader(path: Path) -> Reader:
    """A Reader with a thread of its own; sqlite3.Error if it can't be opened."""
    opening = aiosqlite.connect(
        address(path, "ro"),
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=_STATEMENTS,
        uri=True,
    )
    # A runtime that dies of an error before it closes its store must still be able to end.
    opening._thread.daemon = True  # noqa: SLF001 - aiosqlite has no public way to say it
    connection = await opening
    try:
        for pragma in _READER:
            await connection.execute_fetchall(pragma)
    except BaseException:
        await connection.close()
        raise
    return connection
