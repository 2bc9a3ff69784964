"""Fires as the store keeps them: the ledger, the schedules' cursors, what is to be skipped, and backfills."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from nightcrew.domain.backfill import Backfill, BackfillState
from nightcrew.domain.fire import Fire, ScheduleCursor, Skip


class FireTable(Protocol):
    """The ledger and the schedules' cursors, within a transaction."""

    def record(self, fire: Fire) -> bool:
        """Adds a ledger row; False if that nominal time of the trigger has one already."""

    def resolve(self, agent_id: str, trigger_id: str, nominal_time: datetime, *, fire: Fire) -> bool:
        """Replaces the row of exactly that nominal time (BUFFERED → STARTED or BUFFER_DROPPED)."""

    def cursor(self, agent_id: str, trigger_id: str) -> ScheduleCursor | None:
        """The cursor of a schedule trigger."""

    def cursors(self, agent_id: str) -> list[ScheduleCursor]:
        """All cursors of an agent."""

    def cursors_of(self, agent_ids: Sequence[str]) -> dict[tuple[str, str], ScheduleCursor]:
        """All cursors of some agents, by (agent, trigger)."""

    def set_cursor(self, cursor: ScheduleCursor) -> None:
        """Adds or replaces a cursor."""

    def drop_cursor(self, agent_id: str, trigger_id: str) -> None:
        """Removes the cursor of a trigger that is gone; the ledger stays."""

    def cursors_after(self, agent_id: str, trigger_id: str, *, limit: int) -> list[ScheduleCursor]:
        """Cursors of all agents in the order of (agent, trigger), from after one of them."""

    def rewind(self, now: datetime) -> int:
        """Cursors ahead of now become now, and their schedules are planned anew; returns how many there were."""

    def drop_passed_ahead(self, now: datetime) -> list[Fire]:
        """Removes MISSED_CATCH_UP and NOT_ACTIVE rows ahead of now; returns those that reach beyond it."""

    def covering(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> Fire | None:
        """The row that covers a nominal time, a counted one included; None if none does."""

    def spans(
        self, agent_id: str, trigger_id: str, first: datetime, last: datetime
    ) -> list[tuple[datetime, datetime]]:
        """(nominal_time, last_nominal_time) of the rows that touch [first, last], in order."""

    def last(self, agent_id: str, trigger_id: str) -> Fire | None:
        """The row with the latest nominal time; None if there is none."""

    def replace(self, row: Fire, pieces: Sequence[Fire]) -> None:
        """Puts other rows in the place of one; they cover nothing that it does not."""


class SkipTable(Protocol):
    """Nominal times that people named in advance, within a transaction; one that is decided is in the ledger."""

    def get(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> Skip | None:
        """The skip of that nominal time, or None."""

    def until(self, agent_id: str, trigger_id: str, moment: datetime) -> dict[datetime, Skip]:
        """The skips of a trigger up to a moment, by their nominal times; costs nothing where there are none."""

    def put(self, skip: Skip) -> None:
        """Adds or replaces a skip."""

    def drop(self, agent_id: str, trigger_id: str, *, until: datetime | None = None) -> None:
        """Removes the skips of a trigger, up to a moment if one is given."""

    def remove(self, agent_id: str, trigger_id: str, nominal_time: datetime) -> bool:
        """Removes one skip; False if there is none."""


class BackfillTable(Protocol):
    """Backfills, within a transaction. Every write is guarded by the state RUNNING."""

    def get(self, backfill_id: str) -> Backfill | None:
        """The backfill, or None."""

    def insert(self, backfill: Backfill) -> None:
        """Adds a backfill."""

    def running(self, agent_id: str = "") -> list[Backfill]:
        """Those that are RUNNING (of one agent), oldest first."""

    def of_generation(self, agent_id: str, generation: int) -> Backfill | None:
        """One that began with that generation of the agent, for its spec; None if none did."""

    def advance(self, backfill_id: str, *, cursor: datetime, started: int, deduplicated: int) -> bool:
        """Writes how far it has got; False if it is not RUNNING."""

    def end(self, backfill_id: str, *, state: BackfillState, reason: str, now: datetime) -> bool:
        """RUNNING → a state in which it has ended; False if it is not RUNNING."""
