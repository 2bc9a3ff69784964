"""The tables of pools: places that count while their executions run, rates, and the line of agents that wait."""

import sqlite3
from typing import Final

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_RUNS: Final = "e.state = 'STATE_RUNNING' AND e.lease = p.lease"
_STANDING: Final = (
    "SELECT (SELECT count(*) FROM pool_places AS p CROSS JOIN executions AS e ON e.seq = p.execution"
    f" WHERE p.pool = ?1 AND {_RUNS}), coalesce((SELECT paid_until FROM pools WHERE name = ?1), 0)"
)
_TAKE: Final = (
    "INSERT OR REPLACE INTO pool_places (pool, execution, lease)"
    " VALUES (?, (SELECT seq FROM executions WHERE id = ?), ?)"
)
_PAY: Final = "INSERT OR REPLACE INTO pools (name, paid_until) VALUES (?, ?)"
_GIVE_BACK: Final = "DELETE FROM pool_places WHERE execution = (SELECT seq FROM executions WHERE id = ?)"
_FIRST: Final = "SELECT agent_id FROM pool_line WHERE pool = ? ORDER BY seq LIMIT 1"
_STAND: Final = (
    "INSERT INTO pool_line (agent_id, pool) VALUES (?, ?)"
    " ON CONFLICT (agent_id) DO UPDATE SET pool = excluded.pool WHERE pool <> excluded.pool"
)
_LEAVE: Final = "DELETE FROM pool_line WHERE agent_id = ?"
_LINES: Final = "SELECT DISTINCT pool FROM pool_line ORDER BY pool"
_TIDY: Final = (
    "DELETE FROM pool_places AS p WHERE NOT EXISTS"
    f" (SELECT 1 FROM executions AS e WHERE e.seq = p.execution AND {_RUNS})"
)


class Pools:
    """Pools, within a transaction (ports.gates.PoolTable)."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def standing(self, name: str) -> tuple[int, int]:
        """(how many that take from the pool are RUNNING, until when its rate is paid, 0 if it never was)."""
        running, paid_until = self._execute(_STANDING, (name,)).fetchone()
        return running, paid_until

    def take(self, name: str, execution_id: str, *, lease: int, paid_until: int) -> None:
        """Gives a RUNNING execution a place, for as long as it runs under this lease."""
        self._execute(_TAKE, (name, execution_id, lease))
        if paid_until:
            self._execute(_PAY, (name, paid_until))

    def give_back(self, execution_id: str) -> None:
        """Forgets the places of an execution that runs no more; they were free from its end on."""
        self._execute(_GIVE_BACK, (execution_id,))

    def first_in_line(self, name: str) -> str | None:
        """The agent that has waited for the pool longest; None if none waits."""
        row = self._execute(_FIRST, (name,)).fetchone()
        return None if row is None else str(row[0])

    def stand_in_line(self, agent_id: str, name: str) -> None:
        """Has an agent wait for a pool: one that waits already, for whichever, keeps its turn."""
        self._execute(_STAND, (agent_id, name))

    def leave_line(self, agent_id: str) -> None:
        """An agent waits no more."""
        self._execute(_LEAVE, (agent_id,))

    def lines(self) -> list[str]:
        """The pools that agents wait for."""
        return [name for (name,) in self._execute(_LINES).fetchall()]

    def tidy(self) -> None:
        """Forgets places of executions that run no more."""
        self._execute(_TIDY)
