"""The table of steps: the journals of executions, written by the run that holds the lease."""

import sqlite3
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.step import Step, StepError, StepKind, StepState
from nightcrew.domain.values import decode, encode

# ruff: noqa: S608 - the SQL is put together from constants of this room only

COLUMNS: Final = (
    "key, branch, name, ordinal, kind, state, digest, attempts, until, awaited, start_time, end_time, error,"
    " detail, result"
)
_OF: Final = "execution = (SELECT seq FROM executions WHERE id = ?)"
# A new entry breaks the row of unclean interruptions: the run gets on.
_HELD: Final = (
    "UPDATE executions SET steps = steps + ?, unclean = 0"
    " WHERE id = ? AND lease = ? AND state = 'STATE_RUNNING'"
)
_INSERT: Final = (
    f"INSERT INTO steps (execution, {COLUMNS})"
    " VALUES ((SELECT seq FROM executions WHERE id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REPLACE: Final = (
    "UPDATE steps SET state = ?, attempts = ?, until = ?, end_time = ?, error = ?, result = ?"
    f" WHERE {_OF} AND key = ?"
)
_END: Final = (
    "UPDATE steps SET state = ?, end_time = ?, error = ?, result = ?"
    f" WHERE {_OF} AND key = ? AND state = 'STATE_WAITING'"
)
_LOAD: Final = f"SELECT {COLUMNS} FROM steps WHERE {_OF} ORDER BY seq"
_GET: Final = f"SELECT {COLUMNS} FROM steps WHERE {_OF} AND key = ?"
_OPEN: Final = f"SELECT {COLUMNS} FROM steps WHERE {_OF} AND end_time IS NULL ORDER BY seq"
_AWAITING: Final = (
    "SELECT e.id, s.key FROM steps AS s INDEXED BY steps_awaiting JOIN executions AS e ON e.seq = s.execution"
    " WHERE s.state = 'STATE_WAITING' AND s.kind IN ('event', 'call') AND s.kind = ?1"
    " AND s.awaited IN (SELECT value FROM json_each(?2))"
    " ORDER BY s.seq"
)
_ANY_EVENT: Final = (
    "SELECT 1 FROM steps INDEXED BY steps_awaiting WHERE state = 'STATE_WAITING'"
    " AND kind IN ('event', 'call') AND kind = 'event' LIMIT 1"
)
_REPOINT: Final = (
    "UPDATE steps INDEXED BY steps_awaiting SET awaited = ? WHERE state = 'STATE_WAITING'"
    " AND kind IN ('event', 'call') AND kind = 'call' AND awaited = ?"
)
_COPY: Final = (
    f"INSERT INTO steps (execution, {COLUMNS}) SELECT (SELECT seq FROM executions WHERE id = ?), {COLUMNS}"
    f" FROM steps WHERE {_OF} AND seq < (SELECT seq FROM steps WHERE {_OF} AND key = ?) AND end_time IS NOT NULL"
    " ORDER BY seq"
)
_COUNT: Final = (
    "UPDATE executions SET steps = (SELECT count(*) FROM steps WHERE execution = executions.seq) WHERE id = ?"
)
_KINDS: Final = {str(one): one for one in StepKind}
_STATES: Final = {str(one): one for one in StepState}


class Steps:
    """The journals, within a transaction."""

    __slots__ = ("_cursor", "_events", "_execute")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._execute = self._cursor.execute
        self._events: bool | None = None  # not known

    def load(self, execution_id: str) -> list[Step]:
        """An execution's journal, in the order in which its steps began."""
        return [step_of(row) for row in self._execute(_LOAD, (execution_id,)).fetchall()]

    def get(self, execution_id: str, key: str) -> Step | None:
        """An entry, or None."""
        row = self._execute(_GET, (execution_id, key)).fetchone()
        return None if row is None else step_of(row)

    def open(self, execution_id: str) -> list[Step]:
        """The entries that have not ended."""
        return [step_of(row) for row in self._execute(_OPEN, (execution_id,)).fetchall()]

    def insert(self, execution_id: str, step: Step, *, lease: int) -> bool:
        """Adds an entry; False if the execution does not run under this lease."""
        if self._execute(_HELD, (1, execution_id, lease)).rowcount != 1:
            return False
        self._execute(_INSERT, (execution_id, *_row(step)))
        if step.kind is StepKind.EVENT:
            self._events = True
        return True

    def replace(self, execution_id: str, step: Step, *, lease: int) -> bool:
        """Writes how an entry stands now; False if the execution does not run under this lease."""
        if self._execute(_HELD, (0, execution_id, lease)).rowcount != 1:
            return False
        values = (
            str(step.state),
            step.attempts,
            _moment(step.until),
            _moment(step.end_time),
            _error(step.error),
            step.result,
        )
        self._execute(_REPLACE, (*values, execution_id, step.key))
        return True

    def end(
        self,
        execution_id: str,
        key: str,
        *,
        now: datetime,
        result: str | None = None,
        error: StepError | None = None,
    ) -> bool:
        """WAITING → SUCCEEDED or, with an error, FAILED, whoever runs the execution; False if it does not wait."""
        state = StepState.SUCCEEDED if error is None else StepState.FAILED
        values = (str(state), to_micros(now), _error(error), result, execution_id, key)
        self._events = self._events and None  # it may have been the last
        return self._execute(_END, values).rowcount == 1

    def awaiting(self, kind: StepKind, *awaited: str) -> list[tuple[str, str]]:
        """(execution id, key) of the entries that wait for one of these: types of events, or an execution's end."""
        return self._execute(_AWAITING, (str(kind), encode(list(awaited)))).fetchall()

    @property
    def awaiting_events(self) -> bool:
        """Whether any entry waits for an event."""
        if self._events is None:
            self._events = self._execute(_ANY_EVENT).fetchone() is not None
        return self._events

    def forget_all(self) -> None:
        """Forgets what was read from the tables."""
        self._events = None

    def repoint(self, awaited: str, following: str) -> None:
        """Those who wait for the end of an execution wait for that of another, which goes on for it."""
        self._execute(_REPOINT, (following, awaited))

    def drop(self, execution_id: str, keys: list[str]) -> None:
        """Removes entries: they are to be done again."""
        self._cursor.executemany(
            f"DELETE FROM steps WHERE {_OF} AND key = ?", [(execution_id, key) for key in keys]
        )
        self._execute(_COUNT, (execution_id,))

    def copy(self, source: str, target: str, *, before: str) -> None:
        """Gives an execution the ended entries that another's journal has before one of its entries."""
        self._execute(_COPY, (target, source, source, before))
        self._execute(_COUNT, (target,))

    def keep_signal(self, execution_id: str, name: str, payload: str, *, now: datetime) -> None:
        """Keeps a signal for the wait that asks for it."""
        self._execute(
            "INSERT INTO signals (execution, name, payload, time)"
            " VALUES ((SELECT seq FROM executions WHERE id = ?), ?, ?, ?)",
            (execution_id, name, payload, to_micros(now)),
        )

    def take_signal(self, execution_id: str, name: str) -> str | None:
        """The payload of the oldest kept signal of that name, which is then gone; None if there is none."""
        row = self._execute(
            f"SELECT seq, payload FROM signals WHERE {_OF} AND name = ? ORDER BY seq LIMIT 1",
            (execution_id, name),
        ).fetchone()
        if row is None:
            return None
        self._execute("DELETE FROM signals WHERE seq = ?", (row[0],))
        return str(row[1])


def _row(step: Step) -> tuple[Any, ...]:
    return (
        step.key,
        step.branch,
        step.name,
        step.ordinal,
        str(step.kind),
        str(step.state),
        step.digest,
        step.attempts,
        _moment(step.until),
        step.awaited,
        to_micros(step.start_time),
        _moment(step.end_time),
        _error(step.error),
        step.detail,
        step.result,
    )


def step_of(row: tuple[Any, ...]) -> Step:
    """The entry of a row that was selected by `COLUMNS`."""
    (
        key,
        branch,
        name,
        ordinal,
        kind,
        state,
        digest,
        attempts,
        until,
        awaited,
        start,
        end,
        error,
        detail,
        result,
    ) = row
    return Step(
        key=key,
        branch=branch,
        name=name,
        ordinal=ordinal,
        kind=_KINDS[kind],
        state=_STATES[state],
        digest=digest,
        attempts=attempts,
        until=None if until is None else from_micros(until),
        awaited=awaited,
        start_time=from_micros(start),
        end_time=None if end is None else from_micros(end),
        error=None if error is None else StepError(**decode(error)),
        detail=detail,
        result=result,
    )


def _moment(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _error(error: StepError | None) -> str | None:
    return None if error is None else encode(asdict(error))
