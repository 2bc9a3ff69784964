"""The table of events that many wait for, on their way to them."""

import sqlite3
from dataclasses import replace
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.event_call import EventCall

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_COLUMNS: Final = "seq, event_sequence, awaited, cursor, until, time"
_INSERT: Final = f"INSERT INTO event_calls ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?)"
_ALL: Final = f"SELECT {_COLUMNS} FROM event_calls ORDER BY seq"


class EventCalls:
    """Events on their way, within a transaction.

    They are remembered, since each event that somebody waits for asks and nearly always there is none;
    `forget_all` is called when a write was undone.
    """

    __slots__ = ("_calls", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self._calls: list[EventCall] | None = None

    def forget_all(self) -> None:
        """Forgets what was read: a rollback, or another process, may have changed it."""
        self._calls = None

    def begin(self, call: EventCall) -> None:
        """Adds one."""
        calls = self._read()
        values = (call.sequence, call.awaited, call.cursor, call.until, to_micros(call.time))
        calls.append(replace(call, number=self._execute(_INSERT, values).lastrowid or 0))

    def first(self) -> EventCall | None:
        """The one whose turn it is; costs next to nothing if there is none."""
        calls = self._read()
        return calls[0] if calls else None

    def of(self, awaited: str) -> list[EventCall]:
        """Those for one type or prefix, in order."""
        return [one for one in self._read() if one.awaited == awaited]

    def move(self, call: EventCall, cursor: int) -> None:
        """It has come so far."""
        self._execute("UPDATE event_calls SET cursor = ? WHERE seq = ?", (cursor, call.number))
        self._calls = [
            replace(one, cursor=cursor) if one.number == call.number else one for one in self._read()
        ]

    def end(self, call: EventCall) -> None:
        """It has come to its end."""
        self._execute("DELETE FROM event_calls WHERE seq = ?", (call.number,))
        self._calls = [one for one in self._read() if one.number != call.number]

    def _read(self) -> list[EventCall]:
        if self._calls is None:
            self._calls = [_call_of(row) for row in self._execute(_ALL).fetchall()]
        return self._calls


def _call_of(row: tuple[Any, ...]) -> EventCall:
    number, sequence, awaited, cursor, until, time = row
    return EventCall(
        number=number, sequence=sequence, awaited=awaited, cursor=cursor, until=until, time=from_micros(time)
    )
