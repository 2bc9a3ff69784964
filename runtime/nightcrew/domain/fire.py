"""The ledger of fires (one outcome for every nominal time), the cursor of a schedule, and skips to come."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FireOutcome(StrEnum):
    """What became of one nominal time."""

    STARTED = "OUTCOME_STARTED"
    BUFFERED = "OUTCOME_BUFFERED"
    SKIPPED_OVERLAP = "OUTCOME_SKIPPED_OVERLAP"
    SKIPPED_BY_REQUEST = "OUTCOME_SKIPPED_BY_REQUEST"
    MISSED_CATCH_UP = "OUTCOME_MISSED_CATCH_UP"
    BUFFER_DROPPED = "OUTCOME_BUFFER_DROPPED"
    NOT_ACTIVE = "OUTCOME_NOT_ACTIVE"
    DEPTH_LIMIT = "OUTCOME_DEPTH_LIMIT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """One ledger row; a run of equal outcomes covers [nominal_time, last_nominal_time] with a count."""

    agent_id: str
    trigger_id: str
    nominal_time: datetime
    last_nominal_time: datetime
    actual_time: datetime
    outcome: FireOutcome
    execution_id: str = ""
    reason: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleCursor:
    """How far a schedule trigger has got.

    Attributes:
        cursor: Every nominal time at or before it is decided.
        next_time: The next nominal time after `cursor`; None while it is not computed, or none is left.
        exhausted: No further nominal time will come (date passed, max_fires, end_time).
        fires: How many fires were given an execution.
        generation: The agent's generation that the row belongs to.
        utc_offset: Seconds that the schedule's zone was off UTC at `cursor` by the time zone data of then; None
            where it does not matter.
    """

    agent_id: str
    trigger_id: str
    cursor: datetime
    next_time: datetime | None = None
    exhausted: bool = False
    fires: int = 0
    generation: int = 1
    utc_offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A nominal time that people named in advance: it will not fire."""

    agent_id: str
    trigger_id: str
    nominal_time: datetime
    create_time: datetime
    reason: str = ""
