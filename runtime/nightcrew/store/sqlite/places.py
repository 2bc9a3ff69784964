"""Places of large agents, remembered: counting 100,000 waiting rows at each claim would be quadratic."""

import sqlite3
from collections.abc import Callable
from typing import Final

LARGE: Final = 256
"""Open executions from which on an agent's are remembered; fewer are counted in the index in some 10 µs."""

_WHERE: Final = "SELECT agent_id, state, started FROM executions WHERE id = ?"
_RUNNING, _REQUEUED = 0, 1
_KEPT_BY: Final = {"STATE_RUNNING": _RUNNING, "STATE_WAITING": _RUNNING, "STATE_RETRYING": _RUNNING}


class Places:
    """Running and requeued executions of large agents, as the transaction sees them.

    Only this connection writes, and each move of an execution of a large agent passes through here, so the figures
    stay right without being counted again; `forget_all` is called when a write was undone.

    Attributes:
        known: Running and requeued ones by agent; empty as long as no agent is large, so that others pay a look.
    """

    __slots__ = ("_execute", "known")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute
        self.known: dict[str, list[int]] = {}

    def learn(self, agent_id: str, running: int, requeued: int) -> None:
        """An agent was counted: it is remembered if it is large."""
        if running + requeued >= LARGE:
            self.known[agent_id] = [running, requeued]

    def forget(self, agent_id: str) -> None:
        """The agent's executions are gone."""
        self.known.pop(agent_id, None)

    def forget_all(self) -> None:
        """Forgets what was counted: a rollback, or another process, may have changed it."""
        self.known.clear()

    def add(self, agent_id: str, state: str, *, started: bool, number: int = 1) -> None:
        """So many executions of an agent came into a state; left it, if the number is negative."""
        figures = self.known.get(agent_id)
        if figures is None:
            return
        kept_by = _KEPT_BY.get(state)
        if kept_by is None and started and state == "STATE_QUEUED":
            kept_by = _REQUEUED
        if kept_by is None:
            return  # it keeps no place: it has never started, or has ended
        figures[kept_by] += number
        if sum(figures) < LARGE // 2:
            del self.known[agent_id]  # it is not large any more

    def follow(self, execution_id: str, move: Callable[[], bool]) -> bool:
        """Makes a move of an execution and keeps the figures; returns what the move returned."""
        before = self._execute(_WHERE, (execution_id,)).fetchone()
        if before is None or before[0] not in self.known:
            return move()
        moved = move()
        if moved:
            agent_id, state, started = before
            self.add(agent_id, state, started=bool(started), number=-1)
            _, state, started = self._execute(_WHERE, (execution_id,)).fetchone()
            self.add(agent_id, state, started=bool(started))
        return moved
