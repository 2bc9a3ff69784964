"""Journals, as the store keeps them."""

from datetime import datetime
from typing import Protocol

from nightcrew.domain.event_call import EventWait
from nightcrew.domain.step import Step, StepError


class StepTable(Protocol):
    """Journals, signals that were sent, and waits for code that fits, within a transaction."""

    def load(self, execution_id: str) -> list[Step]:
        """An execution's journal, in the order in which its steps began."""

    def get(self, execution_id: str, key: str) -> Step | None:
        """An entry, or None."""

    def open(self, execution_id: str) -> list[Step]:
        """The entries that have not ended."""

    def insert(self, execution_id: str, step: Step, *, lease: int) -> bool:
        """Adds an entry; False if the execution does not run under this lease."""

    def replace(self, execution_id: str, step: Step, *, lease: int) -> bool:
        """Writes how an entry stands now; False if the execution does not run under this lease."""

    def end(
        self,
        execution_id: str,
        key: str,
        *,
        now: datetime,
        result: str | None = None,
        error: StepError | None = None,
    ) -> bool:
        """WAITING → SUCCEEDED or, with an error, FAILED, whoever runs the execution; False if it does not wait."""

    def awaiting_call(self, execution_id: str) -> list[tuple[str, str]]:
        """(execution id, key) of the entries that wait for the end of an execution."""

    def awaited_by(self, kind: str) -> list[str]:
        """The type of an event, and prefixes of it, that entries wait for; costs next to nothing if none do."""

    def event_waits(self, awaited: str, *, after: int, until: int, limit: int) -> list[EventWait]:
        """Entries that wait for an event of a type or prefix, numbered in (after, until], in order."""

    def number(self, execution_id: str, key: str) -> int:
        """An entry's number: entries that began later have greater ones; 0 if there is no such entry."""

    def newest(self) -> int:
        """The greatest number of an entry there is; 0 if there is none."""

    def repoint(self, awaited: str, following: str) -> None:
        """Those who wait for the end of an execution wait for that of another, which goes on for it."""

    def drop(self, execution_id: str, keys: list[str]) -> None:
        """Removes entries: they are to be done again."""

    def copy(self, source: str, target: str, *, before: str) -> None:
        """Gives an execution the ended entries that another's journal has before one of its entries."""

    def keep_signal(self, execution_id: str, name: str, payload: str, *, now: datetime) -> None:
        """Keeps a signal for the wait that asks for it."""

    def take_signal(self, execution_id: str, name: str) -> str | None:
        """The payload of the oldest kept signal of that name, which is then gone; None if there is none."""

    def parked(self, execution_id: str) -> bool:
        """Whether it waits for code that fits."""

    def end_parking(self, now: datetime, *, agent_id: str = "") -> int:
        """Those (of one agent) that wait for code that fits wait until now and no longer; returns how many."""
