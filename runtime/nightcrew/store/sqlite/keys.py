"""The table of concurrency keys: which executions of a key are under way, which wait, and whose turn it is."""

import sqlite3
from typing import Final

# ruff: noqa: S608 - the SQL is put together from constants of this room only

_OF: Final = "(SELECT seq FROM executions WHERE id = ?)"
_PUT: Final = (
    f"INSERT OR REPLACE INTO keyed (execution, agent_id, key, priority, held) VALUES ({_OF}, ?, ?, ?, ?)"
)
_READY: Final = "INSERT OR IGNORE INTO ready_keys (agent_id, key) VALUES (?, ?)"
_READY_IF_QUEUED: Final = (
    "INSERT OR IGNORE INTO ready_keys (agent_id, key) SELECT ?1, ?2 WHERE EXISTS"
    " (SELECT 1 FROM keyed INDEXED BY keyed_queued WHERE held = 0 AND agent_id = ?1 AND key = ?2)"
)
_ALL_READY: Final = (
    "INSERT OR IGNORE INTO ready_keys (agent_id, key) SELECT DISTINCT agent_id, key FROM keyed WHERE held = 0"
)
_REST: Final = "DELETE FROM ready_keys WHERE agent_id = ? AND key = ?"
_FIRST: Final = "SELECT min(key) FROM ready_keys WHERE agent_id = ?"
_FOLLOWING: Final = f"{_FIRST} AND key > ?"
_OPEN_OF: Final = (
    "SELECT 1 FROM keyed AS k INDEXED BY keyed_held CROSS JOIN executions AS e ON e.seq = k.execution"
    " WHERE k.held = 1 AND e.end_time IS NULL AND k.agent_id = {agent} AND k.key = {key} LIMIT {cap}"
)
_HELD: Final = f"SELECT count(*) FROM ({_OPEN_OF.format(agent='?', key='?', cap='?')})"
_HEAD: Final = (
    "SELECT k.execution, e.id, e.end_time FROM keyed AS k INDEXED BY keyed_queued"
    " LEFT JOIN executions AS e ON e.seq = k.execution"
    " WHERE k.held = 0 AND k.agent_id = ? AND k.key = ? ORDER BY k.priority DESC, k.execution LIMIT 1"
)
_ASKED_FOR: Final = (
    "SELECT a.id FROM executions AS a INDEXED BY executions_asked_for"
    " CROSS JOIN keyed AS q ON q.execution = a.seq"
    " WHERE a.asked_for = 1 AND a.agent_id = ?1 AND a.cancel_requested = 0"
    f" AND (SELECT count(*) FROM ({_OPEN_OF.format(agent='?1', key='q.key', cap='?2')})) < ?2"
    " ORDER BY a.priority DESC, a.seq LIMIT 1"
)
_HOLD: Final = f"UPDATE keyed SET held = 1 WHERE execution = {_OF}"
_RELEASE: Final = f"DELETE FROM keyed WHERE execution = {_OF} RETURNING agent_id, key"
_ANY: Final = "SELECT EXISTS (SELECT 1 FROM keyed)"
_TURN: Final = "SELECT key FROM key_turns WHERE agent_id = ?"
_SET_TURN: Final = "INSERT OR REPLACE INTO key_turns (agent_id, key) VALUES (?, ?)"
_FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE agent_id = ?" for table in ("keyed", "ready_keys", "key_turns")
)
_TIDY: Final = (
    "DELETE FROM keyed WHERE NOT EXISTS"
    " (SELECT 1 FROM executions AS e WHERE e.seq = keyed.execution AND e.end_time IS NULL)"
)


class Keys:
    """Concurrency keys, within a transaction (ports.gates.KeyTable)."""

    __slots__ = ("_execute", "_some")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self._some: bool | None = None  # not known

    def forget_all(self) -> None:
        """Forgets what was read: a rollback, or another process, may have changed it."""
        self._some = None

    @property
    def some(self) -> bool:
        """Whether any execution may have a key."""
        if self._some is None:
            self._some = self._execute(_ANY).fetchone() == (1,)
        return self._some

    def put(self, execution_id: str, *, agent_id: str, key: str, priority: int, held: bool = False) -> None:
        """Keeps the key of an open execution, in place of one that it had."""
        self._execute(_PUT, (execution_id, agent_id, key, priority, int(held)))
        self._some = True
        if not held:
            self._execute(_READY, (agent_id, key))

    def following(self, agent_id: str, after: str | None) -> str | None:
        """The first key after one, in their order, that has executions that have not begun; None: from the first."""
        if after is None:
            (key,) = self._execute(_FIRST, (agent_id,)).fetchone()
        else:
            (key,) = self._execute(_FOLLOWING, (agent_id, after)).fetchone()
        return None if key is None else str(key)

    def rest(self, agent_id: str, key: str) -> None:
        """A key has nothing to start until one of its executions is queued or ends."""
        self._execute(_REST, (agent_id, key))

    def held(self, agent_id: str, key: str, *, cap: int) -> int:
        """How many executions of a key have begun and are open; counting stops at `cap`."""
        (count,) = self._execute(_HELD, (agent_id, key, cap)).fetchone()
        return int(count)

    def head(self, agent_id: str, key: str) -> str | None:
        """The execution of a key that begins next: by priority, then by age; None if none is left."""
        while row := self._execute(_HEAD, (agent_id, key)).fetchone():
            seq, execution_id, end_time = row
            if execution_id is not None and end_time is None:
                return str(execution_id)
            self._execute("DELETE FROM keyed WHERE execution = ?", (seq,))  # it ended without having begun
        return None

    def asked_for(self, agent_id: str, *, per_key: int) -> str | None:
        """The execution that people asked for and that begins next while the agent is held, of a key with room."""
        row = self._execute(_ASKED_FOR, (agent_id, per_key)).fetchone()
        return None if row is None else str(row[0])

    def hold(self, execution_id: str) -> None:
        """An execution has begun."""
        self._execute(_HOLD, (execution_id,))

    def release(self, execution_id: str) -> None:
        """An execution has ended."""
        for agent_id, key in self._execute(_RELEASE, (execution_id,)).fetchall():
            self._execute(_READY_IF_QUEUED, (agent_id, key))

    def turn(self, agent_id: str) -> str | None:
        """The key whose turn it was last."""
        row = self._execute(_TURN, (agent_id,)).fetchone()
        return None if row is None else str(row[0])

    def set_turn(self, agent_id: str, key: str) -> None:
        """It was this key's turn."""
        self._execute(_SET_TURN, (agent_id, key))

    def forget(self, agent_id: str) -> None:
        """Forgets every key of an agent."""
        for sql in _FORGET:
            self._execute(sql, (agent_id,))

    def tidy(self) -> None:
        """Forgets executions that have ended, and has every key looked at that has a backlog."""
        self._execute(_TIDY)
        self._execute(_ALL_READY)
