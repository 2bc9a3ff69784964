"""The table of skips: nominal times that people named in advance."""

import sqlite3
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.fire import Skip

# ruff: noqa: S608 - the SQL is put together from constants of this room only

COLUMNS: Final = "agent_id, trigger_id, nominal_time, create_time, reason"
_OF: Final = "WHERE agent_id = ? AND trigger_id = ?"
_PUT: Final = f"INSERT OR REPLACE INTO skips ({COLUMNS}) VALUES (?, ?, ?, ?, ?)"


class Skips:
    """Skips, within a transaction.

    Every look at a schedule asks for them, and nearly always there are none in the whole store: that is
    remembered, since only this connection writes; `forget_all` is called when a write was undone.
    """

    __slots__ = ("_execute", "_none")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self._none: bool | None = None

    def forget_all(self) -> None:
        """Forgets what was read: a rollback, or another process, may have changed it."""
        self._none = None

    def get(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> Skip | None:
        """The skip of that nominal time, or None."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM skips {_OF} AND nominal_time = ?",
            (agent_id, trigger_id, to_micros(nominal_time)),
        ).fetchone()
        return None if row is None else skip_of(row)

    def until(self, agent_id: str, trigger_id: str, moment: datetime) -> dict[datetime, Skip]:
        """The skips of a trigger up to a moment, by their nominal times."""
        if self._none is None:
            self._none = self._execute("SELECT 1 FROM skips LIMIT 1").fetchone() is None
        if self._none:
            return {}
        rows = self._execute(
            f"SELECT {COLUMNS} FROM skips {_OF} AND nominal_time <= ? ORDER BY nominal_time",
            (agent_id, trigger_id, to_micros(moment)),
        ).fetchall()
        return {skip.nominal_time: skip for skip in map(skip_of, rows)}

    def put(self, skip: Skip) -> None:
        """Adds or replaces a skip."""
        self._none = None
        values = (
            skip.agent_id,
            skip.trigger_id,
            to_micros(skip.nominal_time),
            to_micros(skip.create_time),
            skip.reason,
        )
        self._execute(_PUT, values)

    def drop(self, agent_id: str, trigger_id: str, *, until: datetime | None = None) -> None:
        """Removes the skips of a trigger, up to a moment if one is given."""
        if self._none:
            return
        self._none = None
        if until is None:
            self._execute(f"DELETE FROM skips {_OF}", (agent_id, trigger_id))
        else:
            self._execute(
                f"DELETE FROM skips {_OF} AND nominal_time <= ?", (agent_id, trigger_id, to_micros(until))
            )

    def remove(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> bool:
        """Removes one skip; False if there is none."""
        self._none = None
        values = (agent_id, trigger_id, to_micros(nominal_time))
        return self._execute(f"DELETE FROM skips {_OF} AND nominal_time = ?", values).rowcount == 1


def skip_of(row: tuple[Any, ...]) -> Skip:
    """The skip of a row that was selected by `COLUMNS`."""
    agent_id, trigger_id, nominal_time, create_time, reason = row
    return Skip(
        agent_id=agent_id,
        trigger_id=trigger_id,
        nominal_time=from_micros(nominal_time),
        create_time=from_micros(create_time),
        reason=reason,
    )
