"""The table of usage: what agents have used of their limits, a row a counter."""

import sqlite3
from datetime import datetime
from typing import Final

from nightcrew.domain.budget import MOST
from nightcrew.domain.durations import to_micros

_ADD: Final = (
    "INSERT INTO usage (agent_id, name, window_start, used) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (agent_id, name) DO UPDATE SET"
    " used = CASE WHEN window_start < ?3 THEN ?4 ELSE min(used + ?4, ?5) END, window_start = max(window_start, ?3)"
    " RETURNING used"
)
_USED: Final = "SELECT used FROM usage WHERE agent_id = ? AND name = ? AND window_start >= ?"
OF: Final = (
    "SELECT agent_id, name, window_start, used FROM usage"
    " WHERE agent_id IN (SELECT value FROM json_each(?)) ORDER BY agent_id, name"
)


class Usage:
    """Counters of agents, within a transaction (ports.usage.UsageTable)."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def add(self, agent_id: str, counter: str, *, window: datetime, amount: int) -> int:
        """Counts in the window that began then (or in a later one, if the clock was set back); returns the sum."""
        values = (agent_id, counter, to_micros(window), min(amount, MOST), MOST)
        ((used,),) = self._execute(_ADD, values).fetchall()
        return int(used)

    def used(self, agent_id: str, counter: str, *, window: datetime) -> int:
        """The sum of the window that began then, or of a later one; 0 if nothing was counted since."""
        row = self._execute(_USED, (agent_id, counter, to_micros(window))).fetchone()
        return 0 if row is None else int(row[0])
