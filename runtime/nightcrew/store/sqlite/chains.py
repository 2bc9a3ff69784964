"""Chains of executions that events have caused: where one stands, and how many a chain has had."""

import sqlite3
from typing import Final

from nightcrew.ports.events import Chain

_OF: Final = "SELECT root_sequence, depth FROM executions WHERE id = ?"
_COUNT: Final = "SELECT executions FROM chains WHERE root_sequence = ?"
_ADD: Final = (
    "INSERT INTO chains (root_sequence, executions) VALUES (?, ?)"
    " ON CONFLICT (root_sequence) DO UPDATE SET executions = executions + excluded.executions"
)


class Chains:
    """Chains, within a transaction."""

    __slots__ = ("_execute",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.cursor().execute

    def of(self, execution_id: str) -> Chain | None:
        """Where an execution stands; None if no event caused it, or it is gone."""
        row = self._execute(_OF, (execution_id,)).fetchone()
        return None if row is None or row[0] is None else Chain(*row)

    def count(self, root_sequence: int) -> int:
        """How many executions a chain has had."""
        row = self._execute(_COUNT, (root_sequence,)).fetchone()
        return 0 if row is None else int(row[0])

    def add(self, root_sequence: int, count: int) -> None:
        """Counts executions of a chain."""
        self._execute(_ADD, (root_sequence, count))
