"""Outbound hooks in the store, as a port: how far each has got, and what it could not deliver yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightcrew.domain.delivery import Delivery, HookState


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFigures:
    """What is counted of a hook: `lag` are the events of the log that it has not come to."""

    name: str
    disabled: str
    lag: int
    retrying: int
    dead: int


class OutboundTable(Protocol):
    """Outbound hooks and their deliveries, within a transaction."""

    def hook(self, name: str) -> HookState | None:
        """How far a hook has got; None if there never was one of that name."""

    def put_hook(self, hook: HookState) -> None:
        """Adds or replaces a hook."""

    def advance(self, name: str, cursor: int) -> None:
        """Moves a hook's cursor forward."""

    def delivery(self, hook: str, sequence: int) -> Delivery | None:
        """The delivery of an event by a hook, if it has one."""

    def put(self, delivery: Delivery) -> None:
        """Adds a delivery, or replaces that of the same hook and event."""

    def remove(self, hook: str, sequence: int) -> None:
        """Removes a delivery: it was taken."""

    def revive(self, hook: str, *, sequence: int = 0, now: datetime) -> int:
        """That of one event, or all DEAD ones of the hook → RETRYING, due now, from the first attempt on."""

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes DEAD deliveries that were tried last before that, at most so many; returns how many."""


class DeliveryReads(Protocol):
    """Reads of outbound hooks beside the writer."""

    async def deliveries_due(self, hook: str, now: datetime, *, limit: int) -> list[Delivery]:
        """RETRYING ones whose time has come, the longest due first."""

    async def delivery_outlook(self, hook: str) -> tuple[HookState | None, int, datetime | None]:
        """How far a hook has got, how many deliveries it is RETRYING, and when the next of them is due."""

    async def hook_figures(self) -> Sequence[HookFigures]:
        """What is counted of every hook that there ever was, by name."""
