"""The ledger of fires, one outcome for every nominal time, and the cursors of the schedules."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.fire import Fire, FireOutcome, ScheduleCursor

# ruff: noqa: S608 - the SQL is put together from constants of this room only

COLUMNS: Final = (
    "agent_id, trigger_id, nominal_time, last_nominal_time, actual_time, outcome, execution_id, reason, count"
)
CURSOR_COLUMNS: Final = "agent_id, trigger_id, cursor, next_time, exhausted, fires, generation, utc_offset"

# Rows of a trigger never overlap, so only the last one that begins by the new one's end can meet it.
_RECORD: Final = f"""
    INSERT INTO fires ({COLUMNS})
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
    WHERE coalesce((
        SELECT last_nominal_time FROM fires
        WHERE agent_id = ?1 AND trigger_id = ?2 AND nominal_time <= ?4
        ORDER BY nominal_time DESC LIMIT 1
    ) < ?3, 1)
"""
_RESOLVE: Final = (
    "UPDATE fires SET actual_time = ?, outcome = ?, execution_id = ?, reason = ?"
    " WHERE agent_id = ? AND trigger_id = ? AND nominal_time = ? AND last_nominal_time = nominal_time"
)
_REACHING: Final = """
    FROM fires WHERE agent_id = ?1 AND trigger_id = ?2 AND nominal_time <= ?4 AND last_nominal_time >= ?3
        AND nominal_time >= coalesce((
            SELECT max(nominal_time) FROM fires WHERE agent_id = ?1 AND trigger_id = ?2 AND nominal_time <= ?3
        ), ?3)
"""
_LAST: Final = (
    f"SELECT {COLUMNS} FROM fires WHERE agent_id = ? AND trigger_id = ? ORDER BY nominal_time DESC LIMIT 1"
)
_CURSOR: Final = f"SELECT {CURSOR_COLUMNS} FROM schedule_cursors WHERE agent_id = ?"
_CURSORS_OF: Final = (
    f"SELECT {CURSOR_COLUMNS} FROM schedule_cursors WHERE agent_id IN (SELECT value FROM json_each(?))"
)
_SET_CURSOR: Final = (
    f"INSERT OR REPLACE INTO schedule_cursors ({CURSOR_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_REWIND: Final = (
    "UPDATE schedule_cursors SET cursor = ?1, next_time = NULL, exhausted = 0, utc_offset = NULL"
    " WHERE cursor > ?1"
)
_PASSED: Final = "outcome IN ('OUTCOME_MISSED_CATCH_UP', 'OUTCOME_NOT_ACTIVE')"
_OUTCOMES: Final = {str(one): one for one in FireOutcome}


class Fires:
    """The ledger and the schedules' cursors, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def record(self, fire: Fire) -> bool:
        """Adds a ledger row; False if that nominal time of the trigger has one already.

        A counted row covers every nominal time from its first to its last, so it also stands in the way of
        (and is stopped by) rows that lie within it.
        """
        return self._execute(_RECORD, _row(fire)).rowcount == 1

    def resolve(self, agent_id: str, trigger_id: str, nominal_time: datetime, *, fire: Fire) -> bool:
        """Replaces the row of exactly that nominal time (BUFFERED → STARTED or BUFFER_DROPPED).

        False if there is none; a counted row that covers it is left as it is.

        Raises:
            ValueError: `fire` is of another trigger or covers another time.
        """
        if (fire.agent_id, fire.trigger_id, fire.nominal_time, fire.last_nominal_time) != (
            agent_id,
            trigger_id,
            nominal_time,
            nominal_time,
        ):
            raise ValueError("the new row must be of the same trigger and the same nominal time")
        values = (
            to_micros(fire.actual_time),
            str(fire.outcome),
            fire.execution_id,
            fire.reason,
            agent_id,
            trigger_id,
            to_micros(nominal_time),
        )
        return self._execute(_RESOLVE, values).rowcount == 1

    def cursor(self, agent_id: str, trigger_id: str) -> ScheduleCursor | None:
        """The cursor of a schedule trigger."""
        row = self._execute(f"{_CURSOR} AND trigger_id = ?", (agent_id, trigger_id)).fetchone()
        return None if row is None else cursor_of(row)

    def cursors(self, agent_id: str) -> list[ScheduleCursor]:
        """All cursors of an agent."""
        return [
            cursor_of(row) for row in self._execute(f"{_CURSOR} ORDER BY trigger_id", (agent_id,)).fetchall()
        ]

    def cursors_of(self, agent_ids: Sequence[str]) -> dict[tuple[str, str], ScheduleCursor]:
        """All cursors of some agents, by (agent, trigger)."""
        rows = self._execute(_CURSORS_OF, (json.dumps(agent_ids),)).fetchall()
        return {(row[0], row[1]): cursor_of(row) for row in rows}

    def set_cursor(self, cursor: ScheduleCursor) -> None:
        """Adds or replaces a cursor."""
        values = (
            cursor.agent_id,
            cursor.trigger_id,
            to_micros(cursor.cursor),
            None if cursor.next_time is None else to_micros(cursor.next_time),
            int(cursor.exhausted),
            cursor.fires,
            cursor.generation,
            cursor.utc_offset,
        )
        self._execute(_SET_CURSOR, values)

    def drop_cursor(self, agent_id: str, trigger_id: str) -> None:
        """Removes the cursor of a trigger that is gone; the ledger stays."""
        self._execute(
            "DELETE FROM schedule_cursors WHERE agent_id = ? AND trigger_id = ?", (agent_id, trigger_id)
        )

    def cursors_after(self, agent_id: str, trigger_id: str, *, limit: int) -> list[ScheduleCursor]:
        """Cursors of all agents in the order of (agent, trigger), from after one of them."""
        rows = self._execute(
            f"SELECT {CURSOR_COLUMNS} FROM schedule_cursors WHERE (agent_id, trigger_id) > (?, ?)"
            " ORDER BY agent_id, trigger_id LIMIT ?",
            (agent_id, trigger_id, limit),
        ).fetchall()
        return [cursor_of(row) for row in rows]

    def rewind(self, now: datetime) -> int:
        """Cursors ahead of now become now, and their schedules are planned anew; returns how many there were."""
        return self._execute(_REWIND, (to_micros(now),)).rowcount

    def drop_passed_ahead(self, now: datetime) -> list[Fire]:
        """Removes MISSED_CATCH_UP and NOT_ACTIVE rows ahead of now; returns those that reach beyond it."""
        at = to_micros(now)
        self._execute(f"DELETE FROM fires WHERE nominal_time > ? AND {_PASSED}", (at,))
        rows = self._execute(
            f"SELECT {COLUMNS} FROM fires INDEXED BY fires_counted"
            f" WHERE count > 1 AND last_nominal_time > ? AND {_PASSED}",
            (at,),
        ).fetchall()
        return [fire_of(row) for row in rows]

    def covering(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> Fire | None:
        """The row that covers a nominal time, a counted one included; None if none does."""
        at = to_micros(nominal_time)
        row = self._execute(f"SELECT {COLUMNS} {_REACHING}", (agent_id, trigger_id, at, at)).fetchone()
        return None if row is None else fire_of(row)

    def spans(
        self, agent_id: str, trigger_id: str, first: datetime, last: datetime
    ) -> list[tuple[datetime, datetime]]:
        """(nominal_time, last_nominal_time) of the rows that touch [first, last], in order."""
        rows = self._execute(
            f"SELECT nominal_time, last_nominal_time {_REACHING} ORDER BY nominal_time",
            (agent_id, trigger_id, to_micros(first), to_micros(last)),
        ).fetchall()
        return [(from_micros(begin), from_micros(end)) for begin, end in rows]

    def last(self, agent_id: str, trigger_id: str) -> Fire | None:
        """The row with the latest nominal time; None if there is none."""
        row = self._execute(_LAST, (agent_id, trigger_id)).fetchone()
        return None if row is None else fire_of(row)

    def replace(self, row: Fire, pieces: Sequence[Fire]) -> None:
        """Puts other rows in the place of one.

        Raises:
            ValueError: A row stands in the way: the pieces were not pieces of that one.
        """
        self._execute(
            "DELETE FROM fires WHERE agent_id = ? AND trigger_id = ? AND nominal_time = ?",
            (row.agent_id, row.trigger_id, to_micros(row.nominal_time)),
        )
        for piece in pieces:
            if not self.record(piece):
                raise ValueError(f"a row of the ledger stands in the way of {piece}")


def _row(fire: Fire) -> tuple[Any, ...]:
    return (
        fire.agent_id,
        fire.trigger_id,
        to_micros(fire.nominal_time),
        to_micros(fire.last_nominal_time),
        to_micros(fire.actual_time),
        str(fire.outcome),
        fire.execution_id,
        fire.reason,
        fire.count,
    )


def fire_of(row: tuple[Any, ...]) -> Fire:
    """The ledger row of a row that was selected by `COLUMNS`."""
    agent_id, trigger_id, nominal, last, actual, outcome, execution_id, reason, count = row
    return Fire(
        agent_id=agent_id,
        trigger_id=trigger_id,
        nominal_time=from_micros(nominal),
        last_nominal_time=from_micros(last),
        actual_time=from_micros(actual),
        outcome=_OUTCOMES[outcome],
        execution_id=execution_id,
        reason=reason,
        count=count,
    )


def cursor_of(row: tuple[Any, ...]) -> ScheduleCursor:
    """The cursor of a row that was selected by `CURSOR_COLUMNS`."""
    agent_id, trigger_id, cursor, next_time, exhausted, fires, generation, utc_offset = row
    return ScheduleCursor(
        agent_id=agent_id,
        trigger_id=trigger_id,
        cursor=from_micros(cursor),
        next_time=None if next_time is None else from_micros(next_time),
        exhausted=exhausted == 1,
        fires=fires,
        generation=generation,
        utc_offset=utc_offset,
    )
