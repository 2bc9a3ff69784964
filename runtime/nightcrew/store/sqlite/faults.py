"""Says in our own words what SQLite refused, and whether the words of a failed COMMIT leave it open."""

import sqlite3
from pathlib import Path
from typing import Final

import structlog

from nightcrew.domain.errors import CommitUnknown, NightcrewError, StoreError

TO_DO: Final = (
    "stop the runtime, run `nightcrew doctor --full`, and put a backup back with `nightcrew restore FILE`"
)

log = structlog.get_logger(__name__)

_CAUSES: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("disk_full", "the disk (or the file's quota) is full: free some space"),
    sqlite3.SQLITE_READONLY: ("read_only", "the file or its folder is read-only: make it writable"),
    sqlite3.SQLITE_PERM: ("read_only", "the file may not be used by this user: mend its permissions"),
    sqlite3.SQLITE_BUSY: ("locked", "another process holds a lock on the file: end it"),
    sqlite3.SQLITE_LOCKED: ("locked", "another connection holds a lock on the file: end it"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot_open",
        "the file can't be opened: see that it and its folder are there",
    ),
    sqlite3.SQLITE_IOERR: ("io_error", "the disk gave an input/output error: see the system's log"),
    sqlite3.SQLITE_CORRUPT: ("corrupt", "the file is damaged: restore a backup"),
    sqlite3.SQLITE_NOTADB: ("corrupt", "the file is no SQLite database: restore a backup"),
    sqlite3.SQLITE_NOMEM: ("out_of_memory", "there is no memory left"),
    sqlite3.SQLITE_TOOBIG: ("too_big", "a value is larger than SQLite can hold"),
}


def cause_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error; 0 where the module raised it without asking SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """The store's error for one of SQLite's: what is wrong, with which file, and what would mend it."""
    cause, words = _CAUSES.get(cause_of(error), ("sqlite", "SQLite refused"))
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"{path}: {words} ({name}: {error})", metadata={"cause": cause, "sqlite": name})


def commit_failed(error: sqlite3.Error, path: Path) -> StoreError:
    """The error for a COMMIT that failed.

    A full disk and a lock stop a commit before its last frame is in the log, so nothing was kept. After any
    other failure (a sync that failed, say) the frames may be found and replayed by the next one who opens it.
    """
    known = translated(error, path)
    if cause_of(error) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}:
        return known
    return CommitUnknown(
        f"whether the commit took place is not known; read before trying again. {known.message}",
        metadata=known.metadata,
    )


class Damage:
    """Remembers that the file was found damaged while it is in use: from then on nothing is written to it.

    What is written to a file whose pages contradict each other may spoil more of it. Reads go on where they can.
    """

    def __init__(self) -> None:
        self.found = ""

    def look(self, error: BaseException | None) -> None:
        """Takes notice of an error that says so; told in the log, once."""
        if isinstance(error, StoreError) and error.metadata.get("cause") == "corrupt" and not self.found:
            self.found = error.message
            log.critical(
                "the store is damaged: nothing more is written to it", error=error.message, to_do=TO_DO
            )

    def refuse(self) -> None:
        """Raises StoreError if damage was found."""
        if self.found:
            raise StoreError(
                f"nothing is written, since the store was found damaged ({self.found}): {TO_DO}",
                metadata={"cause": "damaged"},
            )


def answerable(error: BaseException, path: Path) -> BaseException:
    """What a caller is told of an error that its unit of work raised."""
    match error:
        case NightcrewError():
            return error
        case sqlite3.Error():
            told: Exception = translated(error, path)
        case StopIteration() | StopAsyncIteration():
            # A future refuses these, and a coroutine would take them for its end.
            told = RuntimeError(f"the unit of work raised {error!r}")
        case Exception():
            return error
        case _:
            # SystemExit and the like would end the event loop, not the caller.
            told = RuntimeError(f"the unit of work raised {error!r}")
    told.__cause__ = error
    return told
