"""Copies what can still be read of a damaged file into a new one, table by table, from both of its ends."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.connection import address
from nightcrew.store.sqlite.copying import check_target, checked, part_of, put_in_place
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.migrate import Migration, migrate
from nightcrew.store.sqlite.whose import check_shape

BATCH: Final = 500
_SKIPPED: Final = {"migrations"}


def salvage(source: Path, target: Path, *, known: Sequence[Migration], now: datetime) -> dict[str, int]:
    """Makes a whole file of what can be read of a damaged one, which stays as it is.

    Each table is read along its key, up to the damage from either end, so that one bad page costs the rows that
    it holds. Indexes are made anew.

    Args:
        source: The damaged file, with its log; the runtime should be stopped.
        target: The file to be made.
        known: The migrations of this version.
        now: Dates them.

    Returns:
        How many rows of each table were read.

    Raises:
        StoreError: Not even its header or its schema can be read, or the target can't be written.
    """
    check_target(source, target, force=False)
    check_shape_loosely(source)
    with part_of(target) as part:
        migrate(part, known, now=now)
        try:
            with (
                closing(sqlite3.connect(address(source, "ro"), isolation_level=None, uri=True)) as reading,
                closing(sqlite3.connect(address(part, "rw"), isolation_level=None, uri=True)) as writing,
            ):
                reading.execute("PRAGMA query_only = ON")
                rows = _copied(reading, writing)
        except sqlite3.Error as error:
            raise translated(error, source) from error
        checked(part, named=target)
        put_in_place(part, target, force=False)
    return rows


def check_shape_loosely(source: Path) -> None:
    """Looks at the header alone: a file that is cut short can be read up to there."""
    try:
        check_shape(source)
    except StoreError as error:
        if "cut short" not in error.message:
            raise


def _copied(reading: sqlite3.Connection, writing: sqlite3.Connection) -> dict[str, int]:
    ours = _tables(writing)
    there = _tables(reading)
    counts = {}
    writing.execute("BEGIN")
    for table in sorted(ours.keys() & there.keys() - _SKIPPED):
        columns = [name for name in there[table] if name in ours[table]]
        counts[table] = _table(reading, writing, table, columns)
    for name, sequence in _read(reading, "SELECT name, seq FROM sqlite_sequence"):
        # A number that watchers have seen is never given again.
        writing.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
            (name, sequence),
        )
    # The history is not what it was: it gets another incarnation at the next start.
    writing.execute("DELETE FROM meta WHERE key = 'incarnation'")
    writing.execute("COMMIT")
    return counts


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


def _table(
    reading: sqlite3.Connection, writing: sqlite3.Connection, table: str, columns: Sequence[str]
) -> int:
    keys = [
        name
        for _, name in sorted(
            (row[5], row[1]) for row in reading.execute(f"PRAGMA table_info({table})") if row[5]
        )
    ] or ["rowid"]
    names = ", ".join(columns)
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - ours
    count = 0
    for way in ("ASC", "DESC"):
        order = ", ".join(f"{key} {way}" for key in keys)
        # NOT INDEXED: the table's own tree, whose damage is what the rows that are read end at.
        select = f"SELECT {names} FROM {table} NOT INDEXED ORDER BY {order}"  # noqa: S608 - ours
        ended = True
        try:
            for row in _rows(reading, select):
                count += _inserted(writing, insert, row)
        except sqlite3.DatabaseError:
            ended = False
        if ended:
            break
    return count


def _inserted(writing: sqlite3.Connection, insert: str, row: tuple[Any, ...]) -> int:
    try:
        return writing.execute(insert, row).rowcount
    except sqlite3.IntegrityError:
        return 0  # garbage that breaks a rule of its table


def _rows(reading: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    yield from reading.execute(sql)


def _read(reading: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    try:
        return reading.execute(sql).fetchall()
    except sqlite3.DatabaseError:
        return []
