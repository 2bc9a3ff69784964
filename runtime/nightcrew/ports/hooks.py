"""Webhooks in the store, as a port: secrets that are kept encrypted, and the deliveries that were answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class HookTable(Protocol):
    """The secrets of webhook triggers and their deliveries, within a transaction."""

    def secrets(self, agent_id: str, trigger_id: str) -> tuple[str, ...]:
        """The secrets of a trigger; none if it has none.

        Raises:
            SecretUnavailable: They don't open: the key is gone or is another.
        """

    def keep_secrets(self, agent_id: str, trigger_id: str, secrets: Sequence[str]) -> None:
        """Puts these in the place of the trigger's secrets, encrypted.

        Raises:
            SecretUnavailable: There is no key, and none can be made.
        """

    def drop_secrets(self, agent_id: str, trigger_id: str) -> None:
        """Forgets the secrets of a trigger."""

    def delivered(self, agent_id: str, trigger_id: str, deliveries: Sequence[str], *, since: datetime) -> str:
        """The execution that one of these deliveries was answered with at or after `since`; empty if none was."""

    def remember(
        self, agent_id: str, trigger_id: str, deliveries: Sequence[str], execution_id: str, *, now: datetime
    ) -> None:
        """Keeps what a delivery was answered with, under each of its names."""

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes deliveries older than `before`, at most so many; returns how many."""
