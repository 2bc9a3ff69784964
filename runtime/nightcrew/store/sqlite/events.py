"""The table of events: the spine, appended to and read in the order of its sequence."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.event import OWN_PREFIX, Event, NewEvent
from nightcrew.domain.event_match import OUTCOMES
from nightcrew.domain.values import decode, encode

# ruff: noqa: S608 - the SQL is put together from constants of this room only

COLUMNS: Final = (
    "sequence, id, source, type, subject, time, agent_id, execution_id, cause_sequence, actor,"
    " extensions, data"
)
_APPEND: Final = (
    "INSERT INTO events (id, source, type, subject, time, agent_id, execution_id, cause_sequence, actor,"
    " extensions, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_PUBLISHED: Final = "SELECT sequence FROM published WHERE source = ? AND id = ? AND time >= ?"
_REMEMBER: Final = "INSERT OR REPLACE INTO published (source, id, sequence, time) VALUES (?, ?, ?, ?)"
_FORGET: Final = """
    DELETE FROM published WHERE (source, id) IN (
        SELECT source, id FROM published WHERE time < ? ORDER BY time LIMIT ?
    )
"""

_BETWEEN: Final = (
    f"SELECT {COLUMNS} FROM events WHERE sequence > ? AND sequence <= ? AND (type < '{OWN_PREFIX}'"
    f" OR type >= '{OWN_PREFIX[:-1]}/' OR type IN ({', '.join('?' * len(OUTCOMES))}))"
)
_MATCHING_CHARACTERS: Final = 4 * 1024 * 1024


class Events:
    """The event log, within a transaction."""

    __slots__ = ("_cursor", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._execute = self._cursor.execute

    def append(self, event: NewEvent) -> int:
        """Adds an event and returns its sequence."""
        self._execute(
            _APPEND,
            (
                event.id,
                event.source,
                event.type,
                event.subject,
                to_micros(event.time),
                event.agent_id,
                event.execution_id,
                event.cause_sequence,
                event.actor,
                encode(dict(event.extensions)) if event.extensions else "{}",
                event.data,
            ),
        )
        sequence = self._cursor.lastrowid
        if sequence is None:
            raise AssertionError("an INSERT has a row id")
        return sequence

    def newest(self) -> int:
        """The newest sequence that an event was ever given; 0 if none was."""
        row = self._execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def matching(self, types: Sequence[str], *, after: int, until: int, limit: int) -> list[Event]:
        """Events in (after, until] that may trigger and are of one of the types (ports.events), in order."""
        condition, values = _of_types(types)
        sql = f"{_BETWEEN} AND {condition} ORDER BY sequence LIMIT ?"
        found: list[Event] = []
        size = 0
        for row in self._execute(sql, (after, until, *sorted(OUTCOMES), *values, limit)):
            found.append(event_of(row))
            size += len(found[-1].data)
            if size > _MATCHING_CHARACTERS:
                break
        return found

    def published(self, source: str, event_id: str, *, since: datetime) -> int | None:
        """The sequence of the event of that source and id that was received at or after `since`, if one was."""
        row = self._execute(_PUBLISHED, (source, event_id, to_micros(since))).fetchone()
        return None if row is None else int(row[0])

    def remember(self, source: str, event_id: str, *, sequence: int, now: datetime) -> None:
        """Notes that a published event was received now."""
        self._execute(_REMEMBER, (source, event_id, sequence, to_micros(now)))

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes notes of events received before, the oldest first; returns how many."""
        return self._execute(_FORGET, (to_micros(before), limit)).rowcount


def _of_types(types: Sequence[str]) -> tuple[str, list[str]]:
    """A SQL condition for exact types and prefixes, and its parameters."""
    parts, values = [], []
    for one in types:
        if not one.endswith("*"):
            parts.append("type = ?")
            values.append(one)
        else:
            parts.append("substr(type, 1, length(?)) = ?")
            values += [one[:-1]] * 2
    return f"({' OR '.join(parts)})", values


def event_of(row: tuple[Any, ...]) -> Event:
    """The event of a row that was selected by `COLUMNS`; one of the runtime's own has its sequence as its id."""
    return Event(
        sequence=row[0],
        id=row[1] or str(row[0]),
        source=row[2],
        type=row[3],
        subject=row[4],
        time=from_micros(row[5]),
        agent_id=row[6],
        execution_id=row[7],
        cause_sequence=row[8],
        actor=row[9],
        extensions={} if row[10] == "{}" else decode(row[10]),
        data=row[11],
    )
