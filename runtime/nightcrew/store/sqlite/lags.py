"""The table of triggers that lag behind the event log."""

import sqlite3
from typing import Any, Final

from nightcrew.domain.lag import Lag
from nightcrew.domain.spec.trigger import EventMatch
from nightcrew.domain.values import decode, encode

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_COLUMNS: Final = "seq, agent_id, trigger_id, cursor, until, match, reason"
_INSERT: Final = f"INSERT INTO lags ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_WAITING: Final = "SELECT agent_id, trigger_id, until IS NULL FROM lags WHERE reason = '' ORDER BY seq"
_LAST: Final = (
    "SELECT until IS NULL FROM lags WHERE agent_id = ? AND trigger_id = ? AND reason = ''"
    " ORDER BY seq DESC LIMIT 1"
)
_CLOSE: Final = (
    "UPDATE lags SET until = ? WHERE agent_id = ? AND trigger_id = ? AND until IS NULL AND reason = ''"
)
_DROP: Final = "UPDATE lags SET until = coalesce(until, ?), reason = ? WHERE reason = '' AND agent_id = ?"


class Lags:
    """Lags, within a transaction.

    Which triggers wait is remembered, since every event that matches asks for it and nearly always none does;
    `forget_all` is called when a write was undone.
    """

    __slots__ = ("_execute", "_waiting")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self._waiting: dict[str, dict[str, bool]] | None = None

    def forget_all(self) -> None:
        """Forgets what was read: a rollback, or another process, may have changed it."""
        self._waiting = None

    def is_open(self, agent_id: str, trigger_id: str) -> bool | None:
        """Whether what comes belongs to the trigger's last part; None if nothing of it waits to be given out."""
        return self._read().get(agent_id, {}).get(trigger_id)

    def lagging(self, agent_id: str) -> bool:
        """Whether a trigger of the agent has events to be given."""
        return agent_id in self._read()

    def begin(self, lag: Lag) -> None:
        """Adds a part."""
        values = (
            lag.agent_id,
            lag.trigger_id,
            lag.cursor,
            lag.until,
            encode(lag.match.to_json()),
            lag.reason,
        )
        self._execute(_INSERT, values)
        self._look(lag.agent_id, lag.trigger_id)

    def of(self, agent_id: str) -> list[Lag]:
        """The parts of an agent, in their order."""
        return self._all("WHERE agent_id = ? ORDER BY seq", agent_id)

    def agents(self) -> list[str]:
        """The agents that have parts, dropped ones included."""
        return [row[0] for row in self._execute("SELECT DISTINCT agent_id FROM lags").fetchall()]

    def behind(self, sequence: int) -> list[Lag]:
        """The parts whose cursor is before a sequence."""
        return self._all("WHERE cursor < ? ORDER BY seq", sequence)

    def advance(self, lag: Lag, *, cursor: int) -> None:
        """Writes how far a part has got."""
        self._execute("UPDATE lags SET cursor = ? WHERE seq = ?", (cursor, lag.number))

    def end(self, lag: Lag) -> None:
        """Removes a part."""
        self._execute("DELETE FROM lags WHERE seq = ?", (lag.number,))
        self._look(lag.agent_id, lag.trigger_id)

    def close(self, agent_id: str, trigger_id: str, *, until: int) -> None:
        """Ends the open part of a trigger at a sequence: what comes after does not belong to it."""
        self._execute(_CLOSE, (until, agent_id, trigger_id))
        self._look(agent_id, trigger_id)

    def drop(self, agent_id: str, trigger_id: str = "", *, until: int, reason: str) -> None:
        """Has what waits of a trigger (of all triggers of the agent) up to a sequence dropped, for a reason."""
        if trigger_id:
            self._execute(f"{_DROP} AND trigger_id = ?", (until, reason, agent_id, trigger_id))
            self._look(agent_id, trigger_id)
        else:
            self._execute(_DROP, (until, reason, agent_id))
            self._read().pop(agent_id, None)

    def drop_agent(self, agent_id: str) -> None:
        """Removes the parts of an agent that is gone."""
        self._execute("DELETE FROM lags WHERE agent_id = ?", (agent_id,))
        self._read().pop(agent_id, None)

    def _read(self) -> dict[str, dict[str, bool]]:
        if self._waiting is None:
            self._waiting = {}
            for agent_id, trigger_id, is_open in self._execute(_WAITING).fetchall():
                self._waiting.setdefault(agent_id, {})[trigger_id] = is_open == 1
        return self._waiting

    def _look(self, agent_id: str, trigger_id: str) -> None:
        """Reads again what is remembered of one trigger."""
        waiting = self._read()
        row = self._execute(_LAST, (agent_id, trigger_id)).fetchone()
        triggers = waiting.setdefault(agent_id, {})
        triggers.pop(trigger_id, None)
        if row is not None:
            triggers[trigger_id] = row[0] == 1
        elif not triggers:
            del waiting[agent_id]

    def _all(self, where: str, value: Any) -> list[Lag]:
        return [
            _lag_of(row) for row in self._execute(f"SELECT {_COLUMNS} FROM lags {where}", (value,)).fetchall()
        ]


def _lag_of(row: tuple[Any, ...]) -> Lag:
    number, agent_id, trigger_id, cursor, until, match, reason = row
    return Lag(
        agent_id=agent_id,
        trigger_id=trigger_id,
        cursor=cursor,
        match=EventMatch.parse(decode(match)),
        until=until,
        reason=reason,
        number=number,
    )
