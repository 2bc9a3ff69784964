"""The table of steps: the journals of executions, written by the run that holds the lease."""

import sqlite3
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.event_call import EventWait
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
# The condition stands as it stands in the partial index.
_WAITS: Final = "s.state = 'STATE_WAITING' AND s.kind IN ('event', 'call')"
_AWAITING_CALL: Final = (
    "SELECT e.id, s.key FROM steps AS s INDEXED BY steps_awaiting JOIN executions AS e ON e.seq = s.execution"
    f" WHERE {_WAITS} AND s.kind = 'call' AND s.awaited = ? ORDER BY s.seq"
)
_AWAITED: Final = (
    "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM steps AS s INDEXED BY steps_awaiting"
    f" WHERE {_WAITS} AND s.kind = 'event' AND s.awaited = value)"
)
_EVENT_WAITS: Final = (
    "SELECT s.seq, e.id, s.key, s.start_time, s.until, s.detail FROM steps AS s INDEXED BY steps_awaiting"
    f" JOIN executions AS e ON e.seq = s.execution WHERE {_WAITS} AND s.kind = 'event' AND s.awaited = ?"
    " AND s.seq > ? AND s.seq <= ? ORDER BY s.seq LIMIT ?"
)
# Steps from type to type through the index, so that 100,000 that wait for one type cost as much as one.
_TYPES: Final = f"""
    WITH RECURSIVE types (awaited) AS (
        SELECT min(s.awaited) FROM steps AS s INDEXED BY steps_awaiting WHERE {_WAITS} AND s.kind = 'event'
        UNION ALL
        SELECT (SELECT min(s.awaited) FROM steps AS s INDEXED BY steps_awaiting
                WHERE {_WAITS} AND s.kind = 'event' AND s.awaited > types.awaited)
        FROM types WHERE types.awaited IS NOT NULL LIMIT ?
    )
    SELECT awaited FROM types WHERE awaited IS NOT NULL
"""
_PARKED: Final = (
    "SELECT 1 FROM waits WHERE kind = 'KIND_CODE' AND execution = (SELECT seq FROM executions WHERE id = ?)"
)
_END_PARKING: Final = (
    "UPDATE waits INDEXED BY waits_for_code SET until = ?1 WHERE kind = 'KIND_CODE' AND (?2 = '' OR EXISTS"
    " (SELECT 1 FROM executions WHERE seq = waits.execution AND agent_id = ?2))"
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
_KNOWN: Final = 1024
"""How many types that are waited for are remembered."""
_KINDS: Final = {str(one): one for one in StepKind}
_STATES: Final = {str(one): one for one in StepState}


class Steps:
    """The journals, within a transaction."""

    __slots__ = ("_cursor", "_execute", "_types")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._execute = self._cursor.execute
        self._types: set[str] | None = None  # not known

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
        if step.kind is StepKind.EVENT and self._types is not None:
            self._types.add(step.awaited)
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
        return self._execute(_END, values).rowcount == 1

    def awaiting_call(self, execution_id: str) -> list[tuple[str, str]]:
        """(execution id, key) of the entries that wait for the end of an execution."""
        return self._execute(_AWAITING_CALL, (execution_id,)).fetchall()

    def awaited_by(self, kind: str) -> list[str]:
        """What entries that an event of this type may end wait for (ports.steps.StepTable)."""
        if self._types is None:
            self._types = {one for (one,) in self._execute(_TYPES, (_KNOWN + 1,)).fetchall()}
        if not self._types:
            return []
        patterns = [kind, *(f"{kind[:length]}*" for length in range(len(kind) + 1))]
        if len(self._types) > _KNOWN:
            return [one for (one,) in self._execute(_AWAITED, (encode(patterns),)).fetchall()]
        return [one for one in patterns if one in self._types]

    def event_waits(self, awaited: str, *, after: int, until: int, limit: int) -> list[EventWait]:
        """Entries that wait for an event of a type or prefix, numbered in (after, until], in order."""
        rows = self._execute(_EVENT_WAITS, (awaited, after, until, limit)).fetchall()
        if self._types and not (rows or after) and len(self._types) <= _KNOWN:
            self._types.discard(awaited)  # the last of them has ended
        return [
            EventWait(
                number,
                execution_id,
                key,
                from_micros(start),
                None if end is None else from_micros(end),
                detail,
            )
            for number, execution_id, key, start, end, detail in rows
        ]

    def number(self, execution_id: str, key: str) -> int:
        """An entry's number (ports.steps.StepTable); 0 if there is no such entry."""
        row = self._execute(f"SELECT seq FROM steps WHERE {_OF} AND key = ?", (execution_id, key)).fetchone()
        return 0 if row is None else int(row[0])

    def newest(self) -> int:
        """The greatest number of an entry there is; 0 if there is none."""
        return int(self._execute("SELECT coalesce(max(seq), 0) FROM steps").fetchone()[0])

    def forget_all(self) -> None:
        """Forgets what was read from the tables."""
        self._types = None

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

    def parked(self, execution_id: str) -> bool:
        """Whether it waits for code that fits."""
        return self._execute(_PARKED, (execution_id,)).fetchone() is not None

    def end_parking(self, now: datetime, *, agent_id: str = "") -> int:
        """Those (of one agent) that wait for code wait until now and no longer; returns how many."""
        return self._execute(_END_PARKING, (to_micros(now), agent_id)).rowcount


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
