"""Schedules: times to come, the ledger of those that were, and backfills."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FireOutcome(StrEnum):
    """What became of a nominal time."""

    UNSPECIFIED = "OUTCOME_UNSPECIFIED"
    STARTED = "OUTCOME_STARTED"
    BUFFERED = "OUTCOME_BUFFERED"
    SKIPPED_OVERLAP = "OUTCOME_SKIPPED_OVERLAP"
    SKIPPED_BY_REQUEST = "OUTCOME_SKIPPED_BY_REQUEST"
    MISSED_CATCH_UP = "OUTCOME_MISSED_CATCH_UP"
    BUFFER_DROPPED = "OUTCOME_BUFFER_DROPPED"
    NOT_ACTIVE = "OUTCOME_NOT_ACTIVE"
    DEPTH_LIMIT = "OUTCOME_DEPTH_LIMIT"


class BackfillState(StrEnum):
    """Where a backfill stands."""

    UNSPECIFIED = "STATE_UNSPECIFIED"
    RUNNING = "STATE_RUNNING"
    SUCCEEDED = "STATE_SUCCEEDED"
    CANCELLED = "STATE_CANCELLED"
    FAILED = "STATE_FAILED"


class OverlapPolicy(StrEnum):
    """What becomes of work that comes while an agent is busy."""

    UNSPECIFIED = "OVERLAP_POLICY_UNSPECIFIED"
    SKIP = "OVERLAP_POLICY_SKIP"
    BUFFER_ONE = "OVERLAP_POLICY_BUFFER_ONE"
    BUFFER_ALL = "OVERLAP_POLICY_BUFFER_ALL"
    CANCEL_OTHER = "OVERLAP_POLICY_CANCEL_OTHER"
    TERMINATE_OTHER = "OVERLAP_POLICY_TERMINATE_OTHER"
    ALLOW = "OVERLAP_POLICY_ALLOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedFire:
    """A nominal time to come; `note` says what is special about it."""

    nominal_time: datetime | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """A row of the ledger: one nominal time, or a run of `count` times with equal outcomes."""

    agent_id: str
    trigger_id: str
    nominal_time: datetime | None
    last_nominal_time: datetime | None
    actual_time: datetime | None
    outcome: FireOutcome
    execution_id: str = ""
    reason: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A run through the past nominal times of a range."""

    id: str
    agent_id: str
    trigger_id: str
    from_time: datetime | None
    to_time: datetime | None
    overlap: OverlapPolicy
    state: BackfillState
    started: int = 0
    deduplicated: int = 0
    total: int = 0
    reason: str = ""
    create_time: datetime | None = None
    end_time: datetime | None = None
