"""The table of agents, with what belongs to one: its memory and its source."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.agent import Agent, AgentSource, AgentState
from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import AlreadyExists
from nightcrew.store.sqlite.agent_rows import COLUMNS, NAMES, agent_of, agent_row
from nightcrew.store.sqlite.event_triggers import EventTriggers
from nightcrew.store.sqlite.labels import selected
from nightcrew.store.sqlite.lags import Lags
from nightcrew.store.sqlite.places import Places

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_GET: Final = f"SELECT {COLUMNS} FROM agents WHERE id = ?"
_INSERT: Final = f"INSERT INTO agents ({COLUMNS}) VALUES ({', '.join('?' * len(NAMES))})"
_SAVE: Final = (
    f"UPDATE agents SET ({COLUMNS}) = ({', '.join('?' * len(NAMES))}) WHERE id = ? AND revision = ?"
)
_SET_FAILURES: Final = "UPDATE agents SET consecutive_failures = ? WHERE id = ?"
_SOURCES: Final = "SELECT agent_id, path, digest, deleted FROM agent_sources"
_KNOWN: Final = 8192
# There are no foreign keys (migrations/0001_first.sql says why).
_CHILDREN: Final = (
    "DELETE FROM logs WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM steps WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM signals WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM signal_urls WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM progress WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM waits WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM pool_places WHERE execution IN (SELECT seq FROM executions WHERE agent_id = ?)",
    "DELETE FROM executions WHERE agent_id = ?",
    "DELETE FROM fires WHERE agent_id = ?",
    "DELETE FROM schedule_cursors WHERE agent_id = ?",
    "DELETE FROM skips WHERE agent_id = ?",
    "DELETE FROM backfills WHERE agent_id = ?",
    "DELETE FROM residents WHERE agent_id = ?",
    "DELETE FROM webhook_secrets WHERE agent_id = ?",
    "DELETE FROM webhook_deliveries WHERE agent_id = ?",
    "DELETE FROM agent_memory WHERE agent_id = ?",
    "DELETE FROM keyed WHERE agent_id = ?",
    "DELETE FROM ready_keys WHERE agent_id = ?",
    "DELETE FROM key_turns WHERE agent_id = ?",
    "DELETE FROM pool_line WHERE agent_id = ?",
    "DELETE FROM usage WHERE agent_id = ?",
)


class Agents:
    """Agents, within a transaction.

    Every admission, claim and outcome looks its agent up, and reading one costs 11 µs, so those that were read
    are remembered: only this connection writes, and `forget_all` is called when a write was undone.
    """

    __slots__ = ("_execute", "_known", "_lags", "_places", "_triggers", "_without_memory")

    def __init__(
        self, connection: sqlite3.Connection, triggers: EventTriggers, lags: Lags, places: Places
    ) -> None:
        self._execute = connection.cursor().execute
        self._triggers = triggers
        self._lags = lags
        self._places = places
        self._known: dict[str, Agent] = {}
        self._without_memory: set[str] = set()

    def forget_all(self) -> None:
        """Forgets what was read: a rollback, or another process, may have changed it."""
        self._known.clear()
        self._without_memory.clear()

    def get(self, agent_id: str) -> Agent | None:
        """The agent, or None."""
        agent = self._known.get(agent_id)
        if agent is None:
            row = self._execute(_GET, (agent_id,)).fetchone()
            if row is None:
                return None
            if len(self._known) >= _KNOWN:
                self._known.clear()
            agent = self._known[agent_id] = agent_of(row)
        return agent

    def insert(self, agent: Agent) -> None:
        """Adds an agent; raises AlreadyExists if its id is taken."""
        try:
            self._execute(_INSERT, agent_row(agent))
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                raise
            raise AlreadyExists("agent", agent.id) from error
        self._triggers.keep(agent)

    def save(self, agent: Agent, *, revision: int) -> bool:
        """Writes all fields of an agent whose revision in the store is still `revision`; False if it is not."""
        self._known.pop(agent.id, None)
        if self._execute(_SAVE, (*agent_row(agent), agent.id, revision)).rowcount == 0:
            return False
        self._triggers.keep(agent)
        return True

    def rewind(self, now: datetime) -> None:
        """State times ahead of now become now (the clock was set back); no revision changes."""
        self._known.clear()
        self._execute("UPDATE agents SET state_time = ?1 WHERE state_time > ?1", (to_micros(now),))

    def set_failures(self, agent_id: str, count: int) -> None:
        """Writes the count of consecutive failures; no revision changes."""
        self._known.pop(agent_id, None)
        self._execute(_SET_FAILURES, (count, agent_id))

    def delete(self, agent_id: str) -> bool:
        """Deletes the agent with all that is its own (ports.store.AgentTable). Events stay."""
        self._known.pop(agent_id, None)
        if self._execute("DELETE FROM agents WHERE id = ?", (agent_id,)).rowcount == 0:
            return False
        for sql in _CHILDREN:
            self._execute(sql, (agent_id,))
        self._triggers.drop(agent_id)
        self._lags.drop_agent(agent_id)
        self._places.forget(agent_id)
        return True

    def ids(
        self, *, states: Sequence[AgentState] = (), selector: Mapping[str, str] | None = None
    ) -> list[str]:
        """The ids, sorted, of agents in one of the states (none given: any) whose labels hold the selector."""
        conditions, values = selected("labels", selector or {})
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values += [str(state) for state in states]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._execute(f"SELECT id FROM agents{where} ORDER BY id", values).fetchall()
        return [agent_id for (agent_id,) in rows]

    def memory(self, agent_id: str) -> str | None:
        """The JSON text of `ctx.state`, or None if nothing was saved."""
        if agent_id in self._without_memory:
            return None
        row = self._execute("SELECT memory FROM agent_memory WHERE agent_id = ?", (agent_id,)).fetchone()
        if row is not None:
            return str(row[0])
        if len(self._without_memory) >= _KNOWN:
            self._without_memory.clear()
        self._without_memory.add(agent_id)
        return None

    def set_memory(self, agent_id: str, memory: str) -> None:
        """Saves `ctx.state`."""
        self._without_memory.discard(agent_id)
        self._execute(
            "INSERT INTO agent_memory (agent_id, memory) VALUES (?, ?)"
            " ON CONFLICT (agent_id) DO UPDATE SET memory = excluded.memory",
            (agent_id, memory),
        )

    def source(self, agent_id: str) -> AgentSource | None:
        """Which file it came from (kept also after a deletion by hand)."""
        row = self._execute(f"{_SOURCES} WHERE agent_id = ?", (agent_id,)).fetchone()
        return None if row is None else _source_of(*row)

    def set_source(self, source: AgentSource) -> None:
        """Adds or replaces the source of an agent."""
        self._execute(
            "INSERT OR REPLACE INTO agent_sources (agent_id, path, digest, deleted) VALUES (?, ?, ?, ?)",
            (source.agent_id, source.path, source.digest, int(source.deleted)),
        )

    def drop_source(self, agent_id: str) -> None:
        """Forgets the source of an agent."""
        self._execute("DELETE FROM agent_sources WHERE agent_id = ?", (agent_id,))

    def sources(self) -> list[AgentSource]:
        """Every known source."""
        return [_source_of(*row) for row in self._execute(f"{_SOURCES} ORDER BY agent_id").fetchall()]


def _source_of(agent_id: str, path: str, digest: str, deleted: int) -> AgentSource:
    return AgentSource(agent_id=agent_id, path=path, digest=digest, deleted=deleted == 1)
