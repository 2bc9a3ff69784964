"""Reads a history out of a stopped runtime's data folder."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.harness.history import Effect, Entered, EventRow, ExecutionRow, FireRow, History, StepRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEPS = "SELECT e.id, s.* FROM steps s JOIN executions e ON e.seq = s.execution ORDER BY s.seq"


def read_history(data: Path) -> History:
    """What the store holds: it is opened as SQLite opens it after a crash, and not changed."""
    with closing(sqlite3.connect(data / "nightcrew.db")) as connection:
        connection.row_factory = sqlite3.Row
        return History(
            executions=[
                _execution(row) for row in connection.execute("SELECT * FROM executions ORDER BY seq")
            ],
            events=[_event(row) for row in connection.execute("SELECT * FROM events ORDER BY sequence")],
            fires=[_fire(row) for row in connection.execute("SELECT * FROM fires ORDER BY seq")],
            steps=[_step(row) for row in connection.execute(STEPS)],
            agents=dict(map(tuple, connection.execute("SELECT id, state FROM agents"))),
        )


def read_effects(path: Path) -> list[Effect]:
    """What programs wrote down; a last line that a kill cut short was never synced, and is none."""
    return [
        Effect(execution_id=words[0], mark=words[1])
        for words in _lines(path)
        if len(words) == len(("id", "mark"))
    ]


def read_entered(path: Path) -> list[Entered]:
    """What the functions of steps wrote down as they were entered, in order."""
    return [Entered(execution_id=one, step=step, mark=mark) for one, step, mark in _lines(path)]


def _lines(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    assert not rest or len(rest) < 200, "effects are short lines"
    return [line.split() for line in lines]


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def _execution(row: sqlite3.Row) -> ExecutionRow:
    return ExecutionRow(
        id=row["id"],
        agent_id=row["agent_id"],
        state=row["state"],
        attempt=row["attempt"],
        interruptions=row["interruptions"],
        unclean=row["unclean"],
        kind=row["trigger_kind"],
        trigger_id=row["trigger_id"],
        nominal_time=_time(row["nominal_time"]),
        request=json.loads(row["labels"]).get("request", ""),
        result=None if row["result"] is None else json.loads(row["result"]),
        error_type=row["error_type"] or "",
        cause=row["cause_execution_id"],
        event_sequence=row["event_sequence"] or 0,
    )


def _step(row: sqlite3.Row) -> StepRow:
    return StepRow(
        execution_id=row["id"],
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        result=None if row["result"] is None else json.loads(row["result"]),
        awaited=row["awaited"],
    )


def _event(row: sqlite3.Row) -> EventRow:
    data = json.loads(row["data"])
    data = data if isinstance(data, dict) else {}
    return EventRow(
        sequence=row["sequence"],
        type=row["type"],
        agent_id=row["agent_id"],
        execution_id=row["execution_id"],
        state=str(data.get("state", "")),
        reason=str(data.get("reason", "")),
        time=_time(row["time"]),
        id=row["id"],
    )


def _fire(row: sqlite3.Row) -> FireRow:
    first, last = _time(row["nominal_time"]), _time(row["last_nominal_time"])
    assert first is not None
    assert last is not None
    return FireRow(
        agent_id=row["agent_id"],
        trigger_id=row["trigger_id"],
        first=first,
        last=last,
        outcome=row["outcome"],
        execution_id=row["execution_id"],
        count=row["count"],
        actual=_time(row["actual_time"]),
    )
