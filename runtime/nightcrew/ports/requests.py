"""Answers by request id, as the store keeps them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a `request_id` was answered with: `answer` is JSON text, `digest` is of the body without `wait`."""

    caller: str
    method: str
    request_id: str
    digest: str
    answer: str
    time: datetime


class RequestTable(Protocol):
    """Answers by request id, within a transaction."""

    def find(self, caller: str, method: str, request_id: str, *, since: datetime) -> Remembered | None:
        """The first answer, if it was given at or after `since`."""

    def remember(self, remembered: Remembered) -> None:
        """Keeps an answer (replacing one that is too old to count)."""

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes answers older than `before`; returns how many."""
