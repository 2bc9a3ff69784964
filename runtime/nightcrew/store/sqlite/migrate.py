"""Brings the file's schema up to this version: numbered SQL files, each applied once, in a transaction."""

import hashlib
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.connection import BUSY_SECONDS, address
from nightcrew.store.sqlite.faults import translated

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " checksum TEXT NOT NULL, time INTEGER NOT NULL) STRICT"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells that a file that was applied has not been edited since."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version, in order."""
    folder = resources.files("nightcrew.store.sqlite") / "migrations"
    found = [
        Migration(int(match[1]), one.name, one.read_text("utf-8"))
        for one in folder.iterdir()
        if (match := _NAME.fullmatch(one.name))
    ]
    return sorted(found, key=lambda one: one.number)


def migrate(path: Path, migrations: Sequence[Migration], *, now: datetime) -> None:
    """Applies what the file has not had yet, each whole or not at all.

    Args:
        path: The store's file, which exists; an empty one is a new store.
        migrations: All that this version knows, in order.
        now: Written beside what is applied.

    Raises:
        StoreError: The file is another's, is from a newer version, or its history differs from ours.
    """
    try:
        with closing(
            sqlite3.connect(address(path, "rw"), timeout=BUSY_SECONDS, isolation_level=None, uri=True)
        ) as connection:
            # Before anything is set: a file that is another's stays as it is.
            done = versions(connection, path)
            check_history(path, migrations, done)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_LEDGER)
            for migration in migrations:
                if migration.number not in done:
                    _apply(connection, migration, now)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def versions(connection: sqlite3.Connection, path: Path) -> dict[int, tuple[str, str]]:
    """The migrations that a file has had, by number: name and checksum.

    Raises:
        StoreError: It is another program's file.
        sqlite3.Error: It can't be read.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if tables and "migrations" not in tables:
        raise StoreError(
            f"{path} is an SQLite file, but not Nightcrew's: move it away, or give another folder with --data",
            metadata={"cause": "foreign_file"},
        )
    if not tables:
        return {}
    rows = connection.execute("SELECT number, name, checksum FROM migrations").fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def check_history(path: Path, migrations: Sequence[Migration], done: Mapping[int, tuple[str, str]]) -> None:
    """Looks whether a file's migrations (number → name and checksum) are those that this version knows.

    Raises:
        StoreError: It has had one that is not known here, or another of that number.
    """
    known = {one.number: one for one in migrations}
    for number, (name, checksum) in sorted(done.items()):
        if number not in known:
            raise StoreError(
                f"{path} was written by a newer version of Nightcrew (it has the migration {name}, the last one"
                f" known here is {max(known, default=0):04d}): run that version or a later one",
                metadata={"cause": "newer_version"},
            )
        if known[number].checksum != checksum:
            raise StoreError(
                f"{path} was migrated by another {name} than this version's (its checksum differs): run the"
                " version that wrote it; a migration never changes once it is released",
                metadata={"cause": "migration_changed"},
            )


def _apply(connection: sqlite3.Connection, migration: Migration, now: datetime) -> None:
    # executescript commits what is open before it begins, so the transaction is a part of the script.
    entry = f"{migration.number}, '{migration.name}', '{migration.checksum}', {to_micros(now)}"
    script = f"BEGIN IMMEDIATE;\n{migration.sql}\n;INSERT INTO migrations VALUES ({entry});\nCOMMIT;"  # noqa: S608 - ours
    try:
        connection.executescript(script)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
