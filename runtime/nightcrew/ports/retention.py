"""What is no longer kept, as a port: it is deleted in batches, the oldest first, so that no transaction is long."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the logs had come at a time: the newest event and the newest entry that an execution's log had."""

    time: datetime
    event_sequence: int
    log_sequence: int


class RetentionTable(Protocol):
    """Forgetting, within a transaction. Each method returns how many rows it has deleted."""

    def mark(self, now: datetime) -> None:
        """Notes how far the logs have come now. Events bear times that their publishers give; marks bear ours."""

    def marked(self, before: datetime) -> Mark | None:
        """The newest mark at or before a time; None if there is none."""

    def forget_marks(self, *, before: datetime) -> int:
        """Marks before a time."""

    def forget_events(self, *, until: int, limit: int) -> int:
        """Events up to a sequence, and how many executions the chains that began with them have had."""

    def forget_logs(self, *, until: int, limit: int) -> int:
        """Entries of executions' logs up to a sequence."""

    def forget_fires(self, *, before: datetime, limit: int) -> int:
        """Rows of the ledger whose last nominal time is before a time."""

    def forget_executions(self, agent_id: str, *, before: datetime, limit: int) -> int:
        """Executions of an agent that ended before a time, with all that belongs to them; open ones stay."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The executions of an agent that have ended.

    Attributes:
        oldest: When the first of them ended.
        kept_since: When the oldest of those ended that are to be kept for their number; None if all are.
    """

    agent_id: str
    oldest: datetime
    kept_since: datetime | None
