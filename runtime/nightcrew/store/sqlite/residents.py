"""The table of residents: what is wanted of each, beside its one open execution."""

import sqlite3
from typing import Final

from nightcrew.domain.execution import Execution
from nightcrew.domain.resident import Wish
from nightcrew.store.sqlite.execution_rows import COLUMNS, execution_of

# ruff: noqa: S608 - the SQL is put together from constants of this room only

# The condition of the partial index, as it stands in the schema.
_OPEN: Final = "trigger_kind = 'KIND_RESIDENT' AND end_time IS NULL"
_GET: Final = "SELECT wish, execution_id FROM residents WHERE agent_id = ?"
_WANT: Final = (
    "INSERT INTO residents (agent_id, wish, execution_id) VALUES (?, ?, '')"
    " ON CONFLICT (agent_id) DO UPDATE SET wish = excluded.wish"
)
_BEGAN: Final = (
    "INSERT INTO residents (agent_id, wish, execution_id) VALUES (?, 'RUN', ?)"
    " ON CONFLICT (agent_id) DO UPDATE SET wish = 'RUN', execution_id = excluded.execution_id"
)
_OPEN_OF: Final = f"SELECT {COLUMNS} FROM executions WHERE {_OPEN} AND agent_id = ?"
_MISSING: Final = (
    "SELECT agent_id FROM residents WHERE agent_id > ?1 AND wish <> 'NONE'"
    " AND EXISTS (SELECT 1 FROM agents WHERE id = agent_id AND state = 'STATE_ACTIVE')"
    f" AND NOT EXISTS (SELECT 1 FROM executions WHERE {_OPEN} AND executions.agent_id = residents.agent_id)"
    " ORDER BY agent_id LIMIT ?2"
)


class Residents:
    """Residents, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def wish(self, agent_id: str) -> Wish:
        """What is wanted of the agent's resident; NONE if it has none."""
        row = self._execute(_GET, (agent_id,)).fetchone()
        return Wish.NONE if row is None else Wish(row[0])

    def last(self, agent_id: str) -> str:
        """The id of its current or last execution, or an empty string."""
        row = self._execute(_GET, (agent_id,)).fetchone()
        return "" if row is None else str(row[1])

    def want(self, agent_id: str, wish: Wish) -> None:
        """Writes what is wanted."""
        self._execute(_WANT, (agent_id, str(wish)))

    def began(self, agent_id: str, execution_id: str) -> None:
        """It runs as this execution: RUN is what is wanted now."""
        self._execute(_BEGAN, (agent_id, execution_id))

    def drop(self, agent_id: str) -> None:
        """Forgets it: the agent has no resident any more."""
        self._execute("DELETE FROM residents WHERE agent_id = ?", (agent_id,))

    def open(self, agent_id: str) -> Execution | None:
        """Its execution that is not final, if there is one; there is never more than one."""
        row = self._execute(_OPEN_OF, (agent_id,)).fetchone()
        return None if row is None else execution_of(row)

    def missing(self, *, after: str = "", limit: int) -> list[str]:
        """ACTIVE agents, in the order of their ids, whose resident is wanted and has no open execution."""
        return [agent_id for (agent_id,) in self._execute(_MISSING, (after, limit)).fetchall()]
