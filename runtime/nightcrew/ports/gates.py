"""Pools and concurrency keys, as the store keeps them."""

from typing import Protocol


class PoolTable(Protocol):
    """Places and rates of pools, and the agents that wait for them, within a transaction."""

    def standing(self, name: str) -> tuple[int, int]:
        """(how many that take from the pool are RUNNING, until when its rate is paid, 0 if it never was)."""

    def take(self, name: str, execution_id: str, *, lease: int, paid_until: int) -> None:
        """Gives a RUNNING execution a place, for as long as it runs under this lease."""

    def give_back(self, execution_id: str) -> None:
        """Forgets the places of an execution that runs no more; they were free from its end on."""

    def first_in_line(self, name: str) -> str | None:
        """The agent that has waited for the pool longest; None if none waits."""

    def stand_in_line(self, agent_id: str, name: str) -> None:
        """Has an agent wait for a pool: one that waits already, for whichever, keeps its turn."""

    def leave_line(self, agent_id: str) -> None:
        """An agent waits no more."""

    def lines(self) -> list[str]:
        """The pools that agents wait for."""

    def tidy(self) -> None:
        """Forgets places of executions that run no more."""


class KeyTable(Protocol):
    """Executions by their concurrency keys, within a transaction."""

    @property
    def some(self) -> bool:
        """Whether any execution may have a key: a runtime without keys pays no more than this look."""

    def put(self, execution_id: str, *, agent_id: str, key: str, priority: int, held: bool = False) -> None:
        """Keeps the key of an open execution, in place of one that it had."""

    def following(self, agent_id: str, after: str | None) -> str | None:
        """The first key after one, in their order, that may have something to start; None: from the first."""

    def rest(self, agent_id: str, key: str) -> None:
        """A key has nothing to start until one of its executions is queued or ends."""

    def held(self, agent_id: str, key: str, *, cap: int) -> int:
        """How many executions of a key have begun and are open; counting stops at `cap`."""

    def head(self, agent_id: str, key: str) -> str | None:
        """The execution of a key that begins next: by priority, then by age; None if none is left."""

    def asked_for(self, agent_id: str, *, per_key: int) -> str | None:
        """The execution that people asked for and that begins next while the agent is held, of a key with room."""

    def hold(self, execution_id: str) -> None:
        """An execution has begun."""

    def release(self, execution_id: str) -> None:
        """An execution has ended."""

    def turn(self, agent_id: str) -> str | None:
        """The key whose turn it was last."""

    def set_turn(self, agent_id: str, key: str) -> None:
        """It was this key's turn."""

    def forget(self, agent_id: str) -> None:
        """Forgets every key of an agent."""

    def tidy(self) -> None:
        """Forgets executions that have ended, and has every key looked at that has a backlog."""
