"""The table of backfills: how far each has got, guarded by its state."""

import sqlite3
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.backfill import Backfill, BackfillState
from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.store.sqlite.agent_rows import spec_of

# ruff: noqa: S608 - the SQL is put together from constants of this room only

COLUMNS: Final = (
    "id, agent_id, trigger_id, from_time, to_time, overlap, state, cursor, started, deduplicated, total,"
    " create_time, end_time, generation, reason, spec"
)
_RUNNING: Final = "state = 'STATE_RUNNING'"
_INSERT: Final = f"INSERT INTO backfills ({COLUMNS}) VALUES ({', '.join('?' * len(COLUMNS.split(',')))})"
_ADVANCE: Final = (
    f"UPDATE backfills SET cursor = ?, started = ?, deduplicated = ? WHERE id = ? AND {_RUNNING}"
)
_END: Final = f"UPDATE backfills SET state = ?, reason = ?, end_time = ? WHERE id = ? AND {_RUNNING}"


class Backfills:
    """Backfills, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def get(self, backfill_id: str) -> Backfill | None:
        """The backfill, or None."""
        row = self._execute(f"SELECT {COLUMNS} FROM backfills WHERE id = ?", (backfill_id,)).fetchone()
        return None if row is None else backfill_of(row)

    def insert(self, backfill: Backfill) -> None:
        """Adds a backfill."""
        values = (
            backfill.id,
            backfill.agent_id,
            backfill.trigger_id,
            to_micros(backfill.from_time),
            to_micros(backfill.to_time),
            str(backfill.overlap),
            str(backfill.state),
            to_micros(backfill.cursor),
            backfill.started,
            backfill.deduplicated,
            backfill.total,
            to_micros(backfill.create_time),
            None if backfill.end_time is None else to_micros(backfill.end_time),
            backfill.generation,
            backfill.reason,
            backfill.spec.model_dump_json(exclude_defaults=True),
        )
        self._execute(_INSERT, values)

    def running(self, agent_id: str = "") -> list[Backfill]:
        """Those that are RUNNING (of one agent), oldest first."""
        rows = self._execute(
            f"SELECT {COLUMNS} FROM backfills INDEXED BY backfills_running"
            f" WHERE {_RUNNING}{' AND agent_id = ?' if agent_id else ''} ORDER BY seq",
            (agent_id,) if agent_id else (),
        ).fetchall()
        return [backfill_of(row) for row in rows]

    def of_generation(self, agent_id: str, generation: int) -> Backfill | None:
        """One that began with that generation of the agent, for its spec; None if none did."""
        row = self._execute(
            f"SELECT {COLUMNS} FROM backfills WHERE agent_id = ? AND generation = ? LIMIT 1",
            (agent_id, generation),
        ).fetchone()
        return None if row is None else backfill_of(row)

    def advance(self, backfill_id: str, *, cursor: datetime, started: int, deduplicated: int) -> bool:
        """Writes how far it has got; False if it is not RUNNING."""
        values = (to_micros(cursor), started, deduplicated, backfill_id)
        return self._execute(_ADVANCE, values).rowcount == 1

    def end(self, backfill_id: str, *, state: BackfillState, reason: str, now: datetime) -> bool:
        """RUNNING → a state in which it has ended; False if it is not RUNNING."""
        return self._execute(_END, (str(state), reason, to_micros(now), backfill_id)).rowcount == 1


def backfill_of(row: tuple[Any, ...]) -> Backfill:
    """The backfill of a row that was selected by `COLUMNS`."""
    (
        backfill_id,
        agent_id,
        trigger_id,
        from_time,
        to_time,
        overlap,
        state,
        cursor,
        started,
        deduplicated,
        total,
        create_time,
        end_time,
        generation,
        reason,
        spec,
    ) = row
    return Backfill(
        id=backfill_id,
        agent_id=agent_id,
        trigger_id=trigger_id,
        from_time=from_micros(from_time),
        to_time=from_micros(to_time),
        overlap=OverlapPolicy(overlap),
        state=BackfillState(state),
        cursor=from_micros(cursor),
        started=started,
        deduplicated=deduplicated,
        total=total,
        create_time=from_micros(create_time),
        end_time=None if end_time is None else from_micros(end_time),
        generation=generation,
        reason=reason,
        spec=spec_of(spec),
    )
