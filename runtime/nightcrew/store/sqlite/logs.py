"""The tables of what executions say: log entries in the order of their sequence, and how far each has got."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.log import LogEntry, LogStream, NewLogEntry, Severity
from nightcrew.domain.progress import Progress
from nightcrew.domain.values import decode, encode

COLUMNS: Final = "sequence, time, severity, stream, message, fields"
_HOLDER: Final = "SELECT seq FROM executions WHERE id = ? AND lease = ? AND state = 'STATE_RUNNING'"
_APPEND: Final = (
    "INSERT INTO logs (execution, time, severity, stream, message, fields) VALUES (?, ?, ?, ?, ?, ?)"
)
_REPORT: Final = (
    "INSERT INTO progress (execution, attempt, time, done, total, message) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (execution) DO UPDATE SET attempt = excluded.attempt, time = excluded.time, done = excluded.done,"
    " total = excluded.total, message = excluded.message"
)
PROGRESS: Final = (
    "SELECT attempt, time, done, total, message FROM progress"
    " WHERE execution = (SELECT seq FROM executions WHERE id = ?)"
)
_SEVERITIES: Final = {str(one): one for one in Severity}
_STREAMS: Final = {str(one): one for one in LogStream}


class Logs:
    """Log entries and progress, within a transaction."""

    __slots__ = ("_cursor",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()

    def append(self, execution_id: str, entries: Sequence[NewLogEntry], *, lease: int) -> bool:
        """Adds entries if the execution still runs under this lease; False if not."""
        holder = self._cursor.execute(_HOLDER, (execution_id, lease)).fetchone()
        if holder is None:
            return False
        self._cursor.executemany(_APPEND, [_row(holder[0], entry) for entry in entries])
        return True

    def report(self, execution_id: str, progress: Progress, *, lease: int) -> bool:
        """Keeps an execution's progress in place of the one before; False if it does not run under this lease."""
        holder = self._cursor.execute(_HOLDER, (execution_id, lease)).fetchone()
        if holder is None:
            return False
        one = progress
        values = (holder[0], one.attempt, to_micros(one.time), one.done, one.total, one.message)
        self._cursor.execute(_REPORT, values)
        return True


def progress_of(row: Sequence[Any]) -> Progress:
    """The progress of its columns from `attempt` on."""
    attempt, time, done, total, message = row
    return Progress(
        attempt=attempt, time=from_micros(time), done=float(done), total=float(total), message=message
    )


def _row(execution: int, entry: NewLogEntry) -> tuple[Any, ...]:
    return (
        execution,
        to_micros(entry.time),
        str(entry.severity),
        str(entry.stream),
        entry.message,
        None if entry.fields is None else encode(entry.fields),
    )


def log_of(execution_id: str, row: tuple[Any, ...]) -> LogEntry:
    """The entry of a row that was selected by `COLUMNS`."""
    sequence, time, severity, stream, message, fields = row
    return LogEntry(
        execution_id=execution_id,
        sequence=sequence,
        time=from_micros(time),
        severity=_SEVERITIES[severity],
        stream=_STREAMS[stream],
        message=message,
        fields=None if fields is None else decode(fields),
    )
