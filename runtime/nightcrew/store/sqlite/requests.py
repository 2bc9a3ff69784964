"""The table of answers by request id: what makes a repeated call safe."""

import sqlite3
from datetime import datetime
from typing import Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.ports.requests import Remembered

_FIND: Final = (
    "SELECT digest, answer, time FROM requests"
    " WHERE caller = ? AND method = ? AND request_id = ? AND time >= ?"
)
_REMEMBER: Final = (
    "INSERT OR REPLACE INTO requests (caller, method, request_id, digest, answer, time)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET: Final = (
    "DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE time < ? ORDER BY time LIMIT ?)"
)


class Requests:
    """Answers by request id, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def find(self, caller: str, method: str, request_id: str, *, since: datetime) -> Remembered | None:
        """The first answer, if it was given at or after `since`."""
        row = self._execute(_FIND, (caller, method, request_id, to_micros(since))).fetchone()
        if row is None:
            return None
        digest, answer, time = row
        return Remembered(
            caller=caller,
            method=method,
            request_id=request_id,
            digest=digest,
            answer=answer,
            time=from_micros(time),
        )

    def remember(self, remembered: Remembered) -> None:
        """Keeps an answer (replacing one that is too old to count)."""
        values = (
            remembered.caller,
            remembered.method,
            remembered.request_id,
            remembered.digest,
            remembered.answer,
            to_micros(remembered.time),
        )
        self._execute(_REMEMBER, values)

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes answers older than `before`, the oldest first; returns how many."""
        return self._execute(_FORGET, (to_micros(before), limit)).rowcount
