"""Journals, as the store keeps them."""

from datetime import datetime
from typing import Protocol

from nightcrew.domain.step import Step, StepError, StepKind


class StepTable(Protocol):
    """The journals of executions and the signals that were sent to them, within a transaction."""

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

    def awaiting(self, kind: StepKind, *awaited: str) -> list[tuple[str, str]]:
        """(execution id, key) of the entries that wait for one of these: types of events, or an execution's end."""

    @property
    def awaiting_events(self) -> bool:
        """Whether any entry waits for an event."""

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
