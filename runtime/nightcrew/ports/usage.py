"""What agents have used of their limits, as the store keeps it."""

from datetime import datetime
from typing import Protocol


class UsageTable(Protocol):
    """Counters of agents, within a transaction: one row a counter, of the newest window that it counted in."""

    def add(self, agent_id: str, counter: str, *, window: datetime, amount: int) -> int:
        """Counts in the window that began then (or in a later one, if the clock was set back); returns the sum."""

    def used(self, agent_id: str, counter: str, *, window: datetime) -> int:
        """The sum of the window that began then, or of a later one; 0 if nothing was counted since."""
