"""Forgetting what is no longer kept, in batches, each found by an index or by a place in a sequence."""

import sqlite3
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.ports.retention import Ended, Mark

_MARK: Final = """
    INSERT OR REPLACE INTO marks (time, event_sequence, log_sequence) VALUES (
        ?,
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0),
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'logs'), 0)
    )
"""
_MARKED: Final = (
    "SELECT time, event_sequence, log_sequence FROM marks WHERE time <= ? ORDER BY time DESC LIMIT 1"
)
_FORGET_EVENTS: Final = """
    DELETE FROM events WHERE sequence IN (
        SELECT sequence FROM events WHERE sequence <= ? ORDER BY sequence LIMIT ?
    )
"""
_FORGET_LOGS: Final = """
    DELETE FROM logs WHERE sequence IN (SELECT sequence FROM logs WHERE sequence <= ? ORDER BY sequence LIMIT ?)
"""
_FORGET_FIRES: Final = """
    DELETE FROM fires WHERE seq IN (
        SELECT seq FROM fires WHERE nominal_time < ?1 AND last_nominal_time < ?1 ORDER BY nominal_time LIMIT ?2
    )
"""
_OLD: Final = (
    "SELECT seq FROM executions INDEXED BY executions_ended"
    " WHERE end_time IS NOT NULL AND agent_id = ? AND end_time < ? ORDER BY end_time LIMIT ?"
)
# What belongs to an execution by its seq; there are no foreign keys.
_CHILDREN: Final = (
    "DELETE FROM logs WHERE execution = ?",
    "DELETE FROM steps WHERE execution = ?",
    "DELETE FROM signals WHERE execution = ?",
    "DELETE FROM signal_urls WHERE execution = ?",
    "DELETE FROM progress WHERE execution = ?",
)
_DELETE: Final = "DELETE FROM executions WHERE seq = ?"

ENDED: Final = """
    WITH RECURSIVE busy (id) AS (
        SELECT min(agent_id) FROM executions INDEXED BY executions_ended
            WHERE end_time IS NOT NULL AND agent_id > ?1
        UNION ALL
        SELECT (SELECT min(agent_id) FROM executions INDEXED BY executions_ended
                WHERE end_time IS NOT NULL AND agent_id > busy.id)
        FROM busy WHERE busy.id IS NOT NULL LIMIT ?2
    )
    SELECT id,
        (SELECT end_time FROM executions INDEXED BY executions_ended
            WHERE end_time IS NOT NULL AND agent_id = busy.id ORDER BY end_time LIMIT 1),
        (SELECT end_time FROM executions INDEXED BY executions_ended
            WHERE end_time IS NOT NULL AND agent_id = busy.id ORDER BY end_time DESC LIMIT 1 OFFSET ?3 - 1)
    FROM busy WHERE id IS NOT NULL
"""
"""Steps from agent to agent through the index; counts no further in one than are to be kept."""


class Retention:
    """Forgetting, within a transaction."""

    __slots__ = ("_cursor", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._execute = self._cursor.execute

    def mark(self, now: datetime) -> None:
        """Notes how far the logs have come now."""
        self._execute(_MARK, (to_micros(now),))

    def marked(self, before: datetime) -> Mark | None:
        """The newest mark at or before a time; None if there is none."""
        row = self._execute(_MARKED, (to_micros(before),)).fetchone()
        return None if row is None else Mark(from_micros(row[0]), row[1], row[2])

    def forget_marks(self, *, before: datetime) -> int:
        """Marks before a time."""
        return self._execute("DELETE FROM marks WHERE time < ?", (to_micros(before),)).rowcount

    def forget_events(self, *, until: int, limit: int) -> int:
        """Events up to a sequence, and how many executions the chains that began with them have had."""
        self._execute("DELETE FROM chains WHERE root_sequence <= ?", (until,))
        return self._execute(_FORGET_EVENTS, (until, limit)).rowcount

    def forget_logs(self, *, until: int, limit: int) -> int:
        """Entries of executions' logs up to a sequence."""
        return self._execute(_FORGET_LOGS, (until, limit)).rowcount

    def forget_fires(self, *, before: datetime, limit: int) -> int:
        """Rows of the ledger whose last nominal time is before a time."""
        return self._execute(_FORGET_FIRES, (to_micros(before), limit)).rowcount

    def forget_executions(self, agent_id: str, *, before: datetime, limit: int) -> int:
        """Executions of an agent that ended before a time, with all that belongs to them; open ones stay."""
        rows = self._execute(_OLD, (agent_id, to_micros(before), limit)).fetchall()
        for sql in (*_CHILDREN, _DELETE):
            self._cursor.executemany(sql, rows)
        return len(rows)


def ended_of(row: tuple[Any, ...]) -> Ended:
    """The record of a row that was selected by `ENDED`."""
    agent_id, oldest, kept_since = row
    return Ended(agent_id, from_micros(oldest), None if kept_since is None else from_micros(kept_since))
