"""The table of signals' addresses."""

import sqlite3
from datetime import datetime
from typing import Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.signal_url import SignalUrl

_INSERT: Final = (
    "INSERT INTO signal_urls (digest, execution, signal, payload, expire_time, used)"
    " VALUES (?, (SELECT seq FROM executions WHERE id = ?), ?, ?, ?, '')"
)
_FIND: Final = (
    "SELECT u.digest, e.id, u.signal, u.payload, u.expire_time, u.used"
    " FROM signal_urls AS u JOIN executions AS e ON e.seq = u.execution WHERE u.digest = ?"
)
_USE: Final = "UPDATE signal_urls SET used = ? WHERE digest = ? AND used = ''"
_FORGET: Final = (
    "DELETE FROM signal_urls WHERE digest IN"
    " (SELECT digest FROM signal_urls WHERE expire_time < ? ORDER BY expire_time LIMIT ?)"
)


class SignalUrls:
    """Addresses of signals, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def insert(self, url: SignalUrl) -> None:
        """Adds an address."""
        values = (url.digest, url.execution_id, url.signal, url.payload, to_micros(url.expire_time))
        self._execute(_INSERT, values)

    def find(self, digest: str) -> SignalUrl | None:
        """The address of a token's digest, or None."""
        row = self._execute(_FIND, (digest,)).fetchone()
        if row is None:
            return None
        found, execution_id, signal, payload, expire_time, used = row
        return SignalUrl(
            digest=found,
            execution_id=execution_id,
            signal=signal,
            payload=payload,
            expire_time=from_micros(expire_time),
            used=used,
        )

    def use(self, digest: str, *, used: str) -> bool:
        """Notes what it was used with; False if it was used before."""
        return self._execute(_USE, (used, digest)).rowcount == 1

    def forget(self, *, before: datetime, limit: int) -> int:
        """Removes addresses that expired before a time; returns how many."""
        return self._execute(_FORGET, (to_micros(before), limit)).rowcount
