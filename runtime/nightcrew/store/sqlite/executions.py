"""The table of executions: the backlog, the claims, and guarded moves from state to state."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.errors import AlreadyExists
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, Occupancy
from nightcrew.domain.step import Wait
from nightcrew.store.sqlite.execution_rows import (
    COLUMNS,
    INSERT,
    INSERT_CAUSED,
    Row,
    cause_row,
    error_row,
    execution_of,
    execution_row,
)
from nightcrew.store.sqlite.places import Places

# ruff: noqa: S608 - the SQL is put together from constants of this room only

# Partial indexes are taken only where their condition stands in the query as it stands in the schema.
_OPEN: Final = "end_time IS NULL"
_IDLE: Final = f"{_OPEN} AND state IN ('STATE_QUEUED', 'STATE_WAITING', 'STATE_RETRYING')"
_QUEUED: Final = f"{_OPEN} AND agent_id = ?1 AND state = 'STATE_QUEUED'"
_HELD: Final = "WHERE id = ? AND lease = ? AND state = 'STATE_RUNNING'"

_GET: Final = f"SELECT {COLUMNS} FROM executions WHERE id = ?"
# RETRYING, RUNNING and WAITING all sort after QUEUED: one step through the index instead of three.
_FRESH: Final = f"(SELECT count(*) FROM (SELECT 1 FROM executions WHERE {_QUEUED} AND started = 0 LIMIT ?2))"
_OCCUPANCY: Final = (
    f"SELECT (SELECT count(*) FROM executions WHERE {_OPEN} AND agent_id = ?1 AND state > 'STATE_QUEUED'),"
    f" (SELECT count(*) FROM executions WHERE {_QUEUED} AND started = 1), {_FRESH}"
)
_ONLY_FRESH: Final = f"SELECT {_FRESH}"
_IDLE_OF: Final = (
    "SELECT value FROM json_each(?1) WHERE NOT EXISTS ("
    f"SELECT 1 FROM executions INDEXED BY executions_open WHERE {_OPEN} AND agent_id = value)"
)
_OPEN_OF: Final = f"SELECT {COLUMNS} FROM executions WHERE {_OPEN} AND agent_id = ? ORDER BY seq"
_OPEN_OF_TRIGGER: Final = (
    f"SELECT {COLUMNS} FROM executions WHERE {_OPEN} AND agent_id = ? AND trigger_id = ? ORDER BY seq"
)
_NEXT: Final = (
    f"SELECT {COLUMNS} FROM executions WHERE {_QUEUED} AND cancel_requested = resume"
    " ORDER BY started DESC, priority DESC, seq LIMIT ?2"
)
_NEXT_RUNS: Final = (
    f"SELECT {COLUMNS} FROM executions WHERE {_QUEUED} AND started = 1 AND cancel_requested = resume"
    " ORDER BY priority DESC, seq LIMIT ?2"
)
_NEXT_RESUMES: Final = (
    f"SELECT {COLUMNS} FROM executions WHERE {_QUEUED} AND started = 1 AND resume = 1 ORDER BY seq LIMIT ?2"
)
_NEXT_ONE: Final = (
    f"SELECT {COLUMNS} FROM executions INDEXED BY sqlite_autoindex_executions_1 WHERE {_QUEUED} AND id = ?2"
    " AND cancel_requested = resume"
)
_NEXT_ASKED_FOR: Final = (
    f"SELECT {COLUMNS} FROM executions INDEXED BY executions_asked_for WHERE asked_for = 1 AND agent_id = ?1"
    " AND cancel_requested = 0 ORDER BY priority DESC, seq LIMIT ?2"
)
# Two plain statements cost 16 µs, one UPDATE … RETURNING with the same choice inside it 22 µs.
_CLAIM: Final = (
    "UPDATE executions SET state = 'STATE_RUNNING', lease = lease + 1, started = 1,"
    " attempt = attempt + 1 - keep_attempt, keep_attempt = 0, asked_for = 0, resume = 0,"
    " start_time = coalesce(start_time, ?1),"
    " agent_generation = ?3 WHERE seq = ?2"
)
_FINISH: Final = (
    "UPDATE executions SET state = ?, end_time = ?, result = ?, error_type = ?, error_message = ?,"
    f" error_traceback = ?, error_retryable = ? {_HELD}"
)
_END_IDLE: Final = (
    "UPDATE executions SET state = ?, end_time = ?, asked_for = 0, next_attempt_time = NULL, error_type = ?,"
    f" error_message = ?, error_traceback = ?, error_retryable = ? WHERE id = ? AND {_IDLE}"
)
_WAIT: Final = f"UPDATE executions SET state = 'STATE_WAITING', keep_attempt = 1, unclean = 0 {_HELD}"
_PUT_WAIT: Final = (
    "INSERT OR REPLACE INTO waits (execution, kind, until, signal, message)"
    " VALUES ((SELECT seq FROM executions WHERE id = ?), ?, ?, ?, ?)"
)
_END_WAIT: Final = "DELETE FROM waits WHERE execution = (SELECT seq FROM executions WHERE id = ?)"
_REQUEUE_WAITING: Final = (
    "UPDATE executions SET state = 'STATE_QUEUED' WHERE id = ? AND state = 'STATE_WAITING'"
)
_RESUME: Final = (
    "UPDATE executions SET state = 'STATE_QUEUED', resume = 1, keep_attempt = 1, next_attempt_time = NULL,"
    f" cancel_requested = 1, cancel_reason = ? WHERE id = ? AND {_IDLE}"
    # One that bears a mark as it begins to wait was cancelled while it ran.
    " AND (cancel_requested = 0 OR state = 'STATE_WAITING')"
)
_RETRY_LATER: Final = (
    "UPDATE executions SET state = 'STATE_RETRYING', next_attempt_time = ?, unclean = 0, error_type = ?,"
    f" error_message = ?, error_traceback = ?, error_retryable = ? {_HELD}"
)
_REQUEUE: Final = (
    "UPDATE executions SET state = 'STATE_QUEUED', keep_attempt = 1, interruptions = interruptions + 1,"
    " unclean = unclean + ?, error_type = ?, error_message = ?, error_traceback = ?, error_retryable = ?"
    f" {_HELD}"
)
_DUE: Final = (
    f"SELECT {COLUMNS} FROM executions INDEXED BY executions_by_wake WHERE state = 'STATE_RETRYING'"
    " AND next_attempt_time <= ? ORDER BY next_attempt_time, seq LIMIT ?"
)
_WAKE: Final = "UPDATE executions SET state = 'STATE_QUEUED', next_attempt_time = NULL WHERE seq = ?"
_WAITED: Final = (
    f"SELECT {', '.join('e.' + name for name in COLUMNS.split(', '))} FROM waits AS w INDEXED BY waits_by_time"
    " JOIN executions AS e ON e.seq = w.execution WHERE w.until IS NOT NULL AND w.until <= ?"
    " ORDER BY w.until, w.execution LIMIT ?"
)
_OVERDUE: Final = (
    f"SELECT {COLUMNS} FROM executions INDEXED BY executions_by_deadline WHERE {_IDLE}"
    " AND deadline IS NOT NULL AND deadline <= ? ORDER BY deadline, seq LIMIT ?"
)
_NEXT_WAKE: Final = (
    "SELECT (SELECT min(next_attempt_time) FROM executions INDEXED BY executions_by_wake"
    " WHERE state = 'STATE_RETRYING'), (SELECT deadline FROM executions INDEXED BY executions_by_deadline"
    f" WHERE {_IDLE} AND deadline IS NOT NULL ORDER BY deadline LIMIT 1),"
    " (SELECT min(until) FROM waits INDEXED BY waits_by_time WHERE until IS NOT NULL)"
)
_MARK: Final = (
    "UPDATE executions SET cancel_requested = 1, cancel_reason = ?"
    f" WHERE id = ? AND {_OPEN} AND cancel_requested = 0"
)
_RUNNING: Final = (
    f"SELECT {COLUMNS} FROM executions INDEXED BY executions_open WHERE {_OPEN} AND state = 'STATE_RUNNING'"
    " AND id > ? ORDER BY id LIMIT ?"
)
# Steps from agent to agent through the index, so that a backlog of one costs as much as a single row of it.
_WITH_WORK: Final = f"""
    WITH RECURSIVE busy (id) AS (
        SELECT min(agent_id) FROM executions INDEXED BY executions_open WHERE {_OPEN}
        UNION ALL
        SELECT (SELECT min(agent_id) FROM executions INDEXED BY executions_open
                WHERE {_OPEN} AND agent_id > busy.id)
        FROM busy WHERE busy.id IS NOT NULL
    )
    SELECT id FROM busy WHERE id IS NOT NULL AND (
        EXISTS (SELECT 1 FROM executions INDEXED BY executions_open
                WHERE {_OPEN} AND agent_id = busy.id AND state = 'STATE_QUEUED')
        OR EXISTS (SELECT 1 FROM executions INDEXED BY executions_open
                   WHERE {_OPEN} AND agent_id = busy.id AND state = 'STATE_RUNNING' AND cancel_requested = 1)
    )
"""


class Executions:
    """Executions, within a transaction."""

    __slots__ = ("_cursor", "_execute", "_places")

    def __init__(self, connection: sqlite3.Connection, places: Places) -> None:
        self._cursor = connection.cursor()
        self._execute = self._cursor.execute
        self._places = places

    def get(self, execution_id: str) -> Execution | None:
        """The execution, or None."""
        row = self._execute(_GET, (execution_id,)).fetchone()
        return None if row is None else execution_of(row)

    def insert(self, execution: Execution) -> None:
        """Adds an execution.

        Raises:
            AlreadyExists: Its id is taken.
            ValueError: It is final without an end_time, or the other way round.
        """
        if execution.state.final is (execution.end_time is None):
            raise ValueError(
                f"an execution has an end_time just when it is final; this one is {execution.state}"
            )
        try:
            if execution.trigger.root_sequence:
                self._execute(INSERT_CAUSED, execution_row(execution) + cause_row(execution.trigger))
            else:
                self._execute(INSERT, execution_row(execution))
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                raise
            raise AlreadyExists("execution", execution.id) from error
        if self._places.known:
            self._places.add(execution.agent_id, str(execution.state), started=execution.started)

    def occupancy(self, agent_id: str, *, cap: int = 0) -> Occupancy:
        """How full an agent is (all three figures); counting `queued` stops at `cap` if it is not 0."""
        known = self._places.known.get(agent_id)
        if known is not None:
            (queued,) = self._execute(_ONLY_FRESH, (agent_id, cap or -1)).fetchone()
            return Occupancy(running=known[0], requeued=known[1], queued=queued)
        running, requeued, queued = self._execute(_OCCUPANCY, (agent_id, cap or -1)).fetchone()
        self._places.learn(agent_id, running, requeued)
        return Occupancy(running=running, requeued=requeued, queued=queued)

    def idle_of(self, agent_ids: Sequence[str]) -> set[str]:
        """Those of some agents that do nothing and have nothing to do: none of their executions is open."""
        rows = self._execute(_IDLE_OF, (json.dumps(agent_ids),)).fetchall()
        return {agent_id for (agent_id,) in rows}

    def open(self, agent_id: str, *, trigger_id: str | None = None) -> list[Execution]:
        """Those that are not final, oldest first; of one trigger if it is given."""
        if trigger_id is None:
            return self._all(_OPEN_OF, (agent_id,))
        return self._all(_OPEN_OF_TRIGGER, (agent_id, trigger_id))

    def claim(
        self,
        agent_id: str,
        *,
        limit: int,
        people_only: bool,
        now: datetime,
        generation: int = 0,
        resumes_only: bool = False,
        runs_only: bool = False,
        only: str = "",
    ) -> list[Execution]:
        """Moves up to `limit` QUEUED ones to RUNNING and returns them as they are then, in their order."""
        if limit <= 0:
            return []
        if resumes_only:
            rows = self._rows(_NEXT_RESUMES, (agent_id, limit))
        elif only:
            rows = self._rows(_NEXT_ONE, (agent_id, only))
        elif runs_only:
            rows = self._rows(_NEXT_RUNS, (agent_id, limit))
        elif people_only:
            rows = self._rows(_NEXT_RUNS, (agent_id, limit))
            if len(rows) < limit:
                rows += self._rows(_NEXT_ASKED_FOR, (agent_id, limit - len(rows)))
        else:
            rows = self._rows(_NEXT, (agent_id, limit))
        moment = to_micros(now)
        claimed = [_claimed(row, moment, generation) for row in rows]
        for row in claimed:
            self._execute(_CLAIM, (moment, row[0], row[_GENERATION]))
        if self._places.known:
            for row in rows:
                self._places.add(agent_id, row[_STATE], started=bool(row[_STARTED]), number=-1)
            self._places.add(agent_id, "STATE_RUNNING", started=True, number=len(rows))
        return [execution_of(row) for row in claimed]

    def finish(
        self,
        execution_id: str,
        *,
        lease: int,
        state: ExecutionState,
        now: datetime,
        result: str | None = None,
        error: ExecutionError | None = None,
    ) -> bool:
        """RUNNING under this lease → a final state. False if it is not RUNNING under this lease."""
        _must_be_final(state)
        values = (str(state), to_micros(now), result, *error_row(error), execution_id, lease)
        return self._moved(execution_id, _FINISH, values)

    def end_idle(
        self, execution_id: str, *, state: ExecutionState, now: datetime, error: ExecutionError | None = None
    ) -> bool:
        """QUEUED, WAITING or RETRYING → a final state. False if it is in none of them."""
        _must_be_final(state)
        self._execute(_END_WAIT, (execution_id,))
        values = (str(state), to_micros(now), *error_row(error), execution_id)
        return self._moved(execution_id, _END_IDLE, values)

    def wait(self, execution_id: str, *, lease: int, wait: Wait) -> bool:
        """RUNNING under this lease → WAITING; the attempt goes on when it wakes."""
        if not self._changed(_WAIT, (execution_id, lease)):
            return False
        until = None if wait.until is None else to_micros(wait.until)
        self._execute(_PUT_WAIT, (execution_id, str(wait.kind), until, wait.signal, wait.message))
        return True

    def wake(self, execution_id: str) -> bool:
        """WAITING → QUEUED; False if it does not wait."""
        if not self._moved(execution_id, _REQUEUE_WAITING, (execution_id,)):
            return False
        self._execute(_END_WAIT, (execution_id,))
        return True

    def resume_cancelled(self, execution_id: str, *, reason: str) -> bool:
        """QUEUED, WAITING or RETRYING → QUEUED with a cancel mark, to be run once more; False if it has one."""
        self._execute(_END_WAIT, (execution_id,))
        return self._moved(execution_id, _RESUME, (reason, execution_id))

    def waits_over(self, now: datetime, *, limit: int) -> list[Execution]:
        """WAITING ones whose time has come."""
        return self._all(_WAITED, (to_micros(now), limit))

    def retry_later(
        self, execution_id: str, *, lease: int, next_attempt_time: datetime, error: ExecutionError
    ) -> bool:
        """RUNNING under this lease → RETRYING. An attempt that came to its end breaks the row of unclean ones."""
        values = (to_micros(next_attempt_time), *error_row(error), execution_id, lease)
        return self._changed(_RETRY_LATER, values)

    def requeue(self, execution_id: str, *, lease: int, unclean: bool, error: ExecutionError) -> bool:
        """RUNNING under this lease → QUEUED, one interruption more; the next claim keeps the attempt's number."""
        values = (int(unclean), *error_row(error), execution_id, lease)
        return self._moved(execution_id, _REQUEUE, values)

    def wake_due(self, now: datetime, *, limit: int) -> list[Execution]:
        """RETRYING ones whose `next_attempt_time` has come → QUEUED; returned as they are then."""
        rows = self._rows(_DUE, (to_micros(now), limit))
        self._cursor.executemany(_WAKE, [(row[0],) for row in rows])
        for row in rows if self._places.known else ():
            self._places.add(row[_AGENT], row[_STATE], started=bool(row[_STARTED]), number=-1)
            self._places.add(row[_AGENT], "STATE_QUEUED", started=bool(row[_STARTED]))
        return [execution_of(_woken(row)) for row in rows]

    def overdue(self, now: datetime, *, limit: int) -> list[Execution]:
        """Those in QUEUED, WAITING or RETRYING whose `deadline` has passed."""
        return self._all(_OVERDUE, (to_micros(now), limit))

    def next_wake(self) -> datetime | None:
        """The earliest `next_attempt_time` of RETRYING ones or `deadline` of idle ones."""
        moments = [one for one in self._execute(_NEXT_WAKE).fetchone() if one is not None]
        return from_micros(min(moments)) if moments else None

    def mark_cancel(self, execution_id: str, *, reason: str) -> bool:
        """Sets the durable cancel mark on one that is not final; False if it was set or it is final."""
        return self._changed(_MARK, (reason, execution_id))

    def running(self, *, after: str = "", limit: int = 1000) -> list[Execution]:
        """RUNNING ones in the order of their ids, from after an id: what a start must rescue."""
        return self._all(_RUNNING, (after, limit))

    def agents_with_work(self) -> list[str]:
        """The ids of agents that have a QUEUED execution, or a RUNNING one with a cancel mark."""
        return [agent_id for (agent_id,) in self._rows(_WITH_WORK, ())]

    def _moved(self, execution_id: str, sql: str, values: Row) -> bool:
        if not self._places.known:
            return self._changed(sql, values)
        return self._places.follow(execution_id, lambda: self._changed(sql, values))

    def _changed(self, sql: str, values: Row) -> bool:
        return self._execute(sql, values).rowcount == 1

    def _rows(self, sql: str, values: Row) -> list[Row]:
        return self._execute(sql, values).fetchall()

    def _all(self, sql: str, values: Row) -> list[Execution]:
        return [execution_of(row) for row in self._execute(sql, values).fetchall()]


def _must_be_final(state: ExecutionState) -> None:
    if not state.final:
        raise ValueError(f"an execution can't end in {state}")


_AGENT, _STATE, _ATTEMPT, _LEASE, _STARTED, _KEEP, _WAKE_TIME, _START, _GENERATION, _KIND = (
    COLUMNS.split(", ").index(name)
    for name in (
        "agent_id",
        "state",
        "attempt",
        "lease",
        "started",
        "keep_attempt",
        "next_attempt_time",
        "start_time",
        "agent_generation",
        "trigger_kind",
    )
)


def _claimed(row: Row, moment: int, generation: int) -> Row:
    """The row as `_CLAIM` leaves it."""
    after = list(row)
    after[_STATE] = "STATE_RUNNING"
    after[_ATTEMPT] += 1 - row[_KEEP]
    after[_LEASE] += 1
    after[_STARTED] = 1
    # `resume` stays as it was: it tells that this is the one run after a cancel.
    if row[_START] is None:
        after[_START] = moment
    if generation and row[_KIND] != "KIND_BACKFILL":
        after[_GENERATION] = generation
    return tuple(after)


def _woken(row: Row) -> Row:
    """The row as `_WAKE` leaves it."""
    after = list(row)
    after[_STATE] = "STATE_QUEUED"
    after[_WAKE_TIME] = None
    return tuple(after)
