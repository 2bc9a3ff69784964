"""One-time addresses of signals, as the store keeps them: by the digests of their tokens."""

from datetime import datetime
from typing import Protocol

from nightcrew.domain.signal_url import SignalUrl


class SignalUrlTable(Protocol):
    """Addresses of signals, within a transaction; they go with their execution."""

    def insert(self, url: SignalUrl) -> None:
        """Adds an address."""

    def find(self, digest: str) -> SignalUrl | None:
        """The address of a token's digest, or None."""

    def use(self, digest: str, *, used: str) -> bool:
        """Notes what it was used with; False if it was used before."""

    def forget(self, *, before: datetime, limit: int) -> int:
        """Removes addresses that expired before a time; returns how many."""
