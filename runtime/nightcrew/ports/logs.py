"""What executions say, as the store keeps it: their logs, and how far they have got."""

from collections.abc import Sequence
from typing import Protocol

from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.progress import Progress


class LogTable(Protocol):
    """Log entries and progress, within a transaction."""

    def append(self, execution_id: str, entries: Sequence[NewLogEntry], *, lease: int) -> bool:
        """Adds entries if the execution still runs under this lease; False if not."""

    def report(self, execution_id: str, progress: Progress, *, lease: int) -> bool:
        """Keeps an execution's progress in place of the one before, if it still runs under this lease; False if not."""
