"""Residents as the store keeps them: what is wanted of each agent's, within a transaction."""

from typing import Protocol

from nightcrew.domain.execution import Execution
from nightcrew.domain.resident import Wish


class ResidentTable(Protocol):
    """Residents, within a transaction."""

    def wish(self, agent_id: str) -> Wish:
        """What is wanted of the agent's resident; NONE if it has none."""

    def last(self, agent_id: str) -> str:
        """The id of its current or last execution, or an empty string."""

    def want(self, agent_id: str, wish: Wish) -> None:
        """Writes what is wanted."""

    def began(self, agent_id: str, execution_id: str) -> None:
        """It runs as this execution: RUN is what is wanted now."""

    def drop(self, agent_id: str) -> None:
        """Forgets it: the agent has no resident any more."""

    def open(self, agent_id: str) -> Execution | None:
        """Its execution that is not final, if there is one; there is never more than one."""

    def missing(self, *, after: str = "", limit: int) -> list[str]:
        """ACTIVE agents, in the order of their ids, whose resident is wanted and has no open execution."""
