"""Executions that will be run again from their journals, read beside a runtime; nothing is written."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.ports.replays import Resumable
from nightcrew.store.sqlite import agent_rows, execution_rows, steps
from nightcrew.store.sqlite.connection import BUSY_SECONDS, address
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.migrate import Migration, check_history, versions

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_PORTION: Final = 100
_EXECUTIONS: Final = (
    f"SELECT {execution_rows.COLUMNS} FROM executions WHERE end_time IS NULL AND steps > 0"
    " AND state <> 'STATE_RUNNING' AND seq > ? ORDER BY seq LIMIT ?"
)
_AGENT: Final = f"SELECT {agent_rows.COLUMNS} FROM agents WHERE id = ?"
_MEMORY: Final = "SELECT memory FROM agent_memory WHERE agent_id = ?"
_STEPS: Final = f"SELECT {steps.COLUMNS} FROM steps WHERE execution = ? ORDER BY seq"


def resumable(path: Path, known: Sequence[Migration]) -> Iterator[Resumable]:
    """Those that have not ended, do not run now, and have a journal, the oldest first.

    Args:
        path: The store's file.
        known: The migrations that this program has.

    Raises:
        StoreError: There is no store, it is another version's, or it can't be read.
    """
    if not path.exists():
        raise StoreError(f"there is no store at {path}")
    try:
        way = address(path, "ro")
        with closing(
            sqlite3.connect(way, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
        ) as connection:
            done = versions(connection, path)
            check_history(path, known, done)
            if len(done) < len(known):
                raise StoreError(
                    f"{path} is of an earlier version ({len(done)} of {len(known)} migrations); `nightcrew up`"
                    " upgrades it"
                )
            yield from _read(connection)
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _read(connection: sqlite3.Connection) -> Iterator[Resumable]:
    last = 0
    while rows := connection.execute(_EXECUTIONS, (last, _PORTION)).fetchall():
        for row in rows:
            last = row[0]
            execution = execution_rows.execution_of(row)
            found = connection.execute(_AGENT, (execution.agent_id,)).fetchone()
            journal = connection.execute(_STEPS, (last,)).fetchall()
            if found is not None:
                memory = connection.execute(_MEMORY, (execution.agent_id,)).fetchone()
                yield Resumable(
                    agent_rows.agent_of(found),
                    execution,
                    tuple(map(steps.step_of, journal)),
                    "{}" if memory is None else memory[0],
                )
