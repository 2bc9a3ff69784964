"""The table of event triggers, in step with the agents, and its index in memory that outlives rollbacks."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.event_match import types_of
from nightcrew.domain.values import decode, encode
from nightcrew.store.sqlite.trigger_index import Ref, TriggerIndex, TriggerRow

_ALL: Final = "SELECT agent_id, trigger_id, types, source FROM event_triggers"
_INSERT: Final = "INSERT INTO event_triggers (agent_id, trigger_id, types, source) VALUES (?, ?, ?, ?)"
_DELETE: Final = "DELETE FROM event_triggers WHERE agent_id = ?"
_DEAF: Final = (AgentState.STOPPED, AgentState.STOPPING)
"""States in which no event matches."""


class EventTriggers:
    """The triggers of agents that take events now.

    The index is read once and then changed with the table. What a rollback undoes is read again: only agents that
    were written since the last commit can differ, so that a fault costs as little with 10,000 triggers as with one.
    """

    __slots__ = ("_changed", "_execute", "_index", "_stale")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self._index: TriggerIndex | None = None
        self._changed: set[str] = set()
        self._stale: set[str] = set()

    def candidates(self, kind: str, source: str) -> Sequence[Ref]:
        """(agent, trigger) of those whose types and source match an event's."""
        index = self._index
        if index is None or self._stale:
            index = self._read()
        return index.candidates(kind, source) if index else ()

    def keep(self, agent: Agent) -> None:
        """Brings the table in step with an agent that was written."""
        wanted = _rows(agent)
        index = self._index
        if index is None or self._stale:
            index = self._read()
        if index.of(agent.id) != wanted:
            self._write(index, agent.id, wanted)

    def drop(self, agent_id: str) -> None:
        """Removes the triggers of an agent that is gone."""
        index = self._read()
        if index.of(agent_id):
            self._write(index, agent_id, ())

    def committed(self) -> None:
        """What was changed is on disk."""
        if self._changed:
            self._changed = set()

    def undone(self) -> None:
        """A write of this transaction was undone."""
        self._stale |= self._changed

    def forget_all(self) -> None:
        """Another process may have written: everything is read again."""
        self._index = None
        self._stale, self._changed = set(), set()

    def _write(self, index: TriggerIndex, agent_id: str, rows: tuple[TriggerRow, ...]) -> None:
        self._changed.add(agent_id)
        self._execute(_DELETE, (agent_id,))
        for row in rows:
            self._execute(_INSERT, (row.agent_id, row.trigger_id, encode(list(row.types)), row.source))
        index.put(agent_id, rows)

    def _read(self) -> TriggerIndex:
        index = self._index
        if index is None:
            self._stale = set()
            found: dict[str, list[TriggerRow]] = {}
            for row in self._execute(f"{_ALL} ORDER BY agent_id, trigger_id"):
                found.setdefault(row[0], []).append(_row_of(*row))
            index = self._index = TriggerIndex()
            for agent_id, rows in found.items():
                index.put(agent_id, rows)
        while self._stale:
            agent_id = self._stale.pop()
            kept = self._execute(f"{_ALL} WHERE agent_id = ? ORDER BY trigger_id", (agent_id,)).fetchall()
            index.put(agent_id, [_row_of(*row) for row in kept])
        return index


def _rows(agent: Agent) -> tuple[TriggerRow, ...]:
    if agent.state in _DEAF:
        return ()
    return tuple(
        TriggerRow(agent.id, trigger.id, tuple(dict.fromkeys(types_of(trigger.event))), trigger.event.source)
        for trigger in sorted(agent.spec.triggers, key=lambda one: one.id)
        if trigger.event is not None and not trigger.disabled
    )


def _row_of(agent_id: str, trigger_id: str, types: str, source: str) -> TriggerRow:
    return TriggerRow(agent_id, trigger_id, tuple(decode(types)), source)
