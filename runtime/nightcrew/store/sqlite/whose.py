"""Tells whose a database file is without changing a byte: none at all, another program's, another version's, ours."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.connection import BUSY_SECONDS, address
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.migrate import Migration, check_history, versions

MAGIC: Final = b"SQLite format 3\x00"
HEADER: Final = 100
MEND: Final = (
    "see what is wrong with `nightcrew doctor`, and put a backup back with `nightcrew restore FILE`; nothing was"
    " changed"
)


def log_of(path: Path) -> Path:
    """The write-ahead log of a database file."""
    return path.with_name(f"{path.name}-wal")


def index_of(path: Path) -> Path:
    """The index of a database file's write-ahead log, in memory that is shared."""
    return path.with_name(f"{path.name}-shm")


def has_log(path: Path) -> bool:
    """Whether the file's log holds anything."""
    try:
        return log_of(path).stat().st_size > 0
    except OSError:
        return False


def open_quiet(path: Path) -> sqlite3.Connection:
    """A connection that reads and leaves nothing beside the file; only where nobody else can write meanwhile.

    A file with a log is read through it, which writes to the log's index, as any reader does.
    """
    way = address(path, "ro") + ("" if has_log(path) else "&immutable=1")
    connection = sqlite3.connect(way, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def check_shape(path: Path) -> None:
    """Looks at the header and the length.

    Raises:
        StoreError: It is no database, or a part of one.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
        size = path.stat().st_size
    except OSError as error:
        raise StoreError(
            f"{path} can't be read: {error.strerror}", metadata={"cause": "cannot_open"}
        ) from error
    if len(header) < HEADER or not header.startswith(MAGIC):
        raise damaged(f"{path} is no SQLite database: its header is not one")
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(header[28:32], "big")
    # A log may hold the pages that are missing here: a checkpoint that was killed had not come to them.
    if not has_log(path) and size < page * pages:
        raise damaged(f"{path} is cut short: it has {size} bytes, its header says {page * pages}")


def check_whose(path: Path, known: Sequence[Migration]) -> None:
    """Looks whether this version can use a file; nobody else may have it open.

    Raises:
        StoreError: It can't; the message says why and what to do.
    """
    check_shape(path)
    try:
        with closing(open_quiet(path)) as connection:
            check_history(path, known, versions(connection, path))
    except sqlite3.Error as error:
        raise advised(translated(error, path)) from error


def advised(error: StoreError) -> StoreError:
    """The same error with what to do about a file that is damaged."""
    return damaged(error.message) if error.metadata.get("cause") == "corrupt" else error


def damaged(message: str) -> StoreError:
    """The error for a file that is damaged, with what to do."""
    return StoreError(f"{message}; {MEND}", metadata={"cause": "corrupt"})
