"""Backfills: past nominal times that are run after all; their states, their range, and whom they feed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from nightcrew.domain.agent import Agent
from nightcrew.domain.durations import format_instant
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.policy import OverlapPolicy

LEDGER_KEPT: Final = timedelta(days=90)
"""How far back the ledger reaches (semantics.md, What is kept)."""
OPEN_AT_MOST: Final = 100
"""How many runs of a backfill an agent without a bound has at once: its own fires need air too."""
_STEPS: Final = 100
"""A backfill tells of its progress about so often, however long it is."""


class BackfillState(StrEnum):
    """Where a backfill stands."""

    RUNNING = "STATE_RUNNING"
    SUCCEEDED = "STATE_SUCCEEDED"
    CANCELLED = "STATE_CANCELLED"
    FAILED = "STATE_FAILED"


class BackfillEvent(StrEnum):
    """What can happen to a backfill."""

    FINISH = "finish"
    """Every time of its range is decided."""
    CANCEL = "cancel"
    """People cancelled it, or stopped its agent."""
    FAIL = "fail"
    """It cannot go on."""


TABLE: Final[Mapping[BackfillState, Mapping[BackfillEvent, BackfillState]]] = {
    BackfillState.RUNNING: {
        BackfillEvent.FINISH: BackfillState.SUCCEEDED,
        BackfillEvent.CANCEL: BackfillState.CANCELLED,
        BackfillEvent.FAIL: BackfillState.FAILED,
    },
    BackfillState.SUCCEEDED: {},
    BackfillState.CANCELLED: {},
    BackfillState.FAILED: {},
}
"""state → event → state; one that has ended stays as it is, whatever happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One backfill.

    Attributes:
        overlap: Its own policy, never UNSPECIFIED.
        cursor: Every nominal time of the range at or before it is decided.
        started: Times it has given an execution.
        deduplicated: Times that had one already.
        total: Times in the range.
        generation: The agent's generation that it began with, and `spec` that generation's spec.
    """

    id: str
    agent_id: str
    trigger_id: str
    from_time: datetime
    to_time: datetime
    overlap: OverlapPolicy
    cursor: datetime
    total: int
    create_time: datetime
    generation: int
    spec: AgentSpec
    state: BackfillState = BackfillState.RUNNING
    started: int = 0
    deduplicated: int = 0
    reason: str = ""
    end_time: datetime | None = None


def step(state: BackfillState, event: BackfillEvent) -> BackfillState:
    """Where an event leads; the state itself where the table has nothing."""
    return TABLE[state].get(event, state)


def effective(overlap: OverlapPolicy) -> OverlapPolicy:
    """Its own policy: BUFFER_ALL if none was said, whatever the agent's is."""
    return OverlapPolicy.BUFFER_ALL if overlap is OverlapPolicy.UNSPECIFIED else overlap


def check_range(from_time: datetime, to_time: datetime, *, now: datetime) -> None:
    """Whether a range can be backfilled.

    Raises:
        InvalidArgument: It is turned round, reaches back beyond the ledger, or forward beyond now.
    """
    found = []
    oldest = now - LEDGER_KEPT
    if from_time > to_time:
        found.append(FieldViolation("from_time", "must not be after to_time"))
    if from_time < oldest:
        what = f"must not be before {format_instant(oldest)}: the ledger is kept for {LEDGER_KEPT.days} days"
        found.append(FieldViolation("from_time", what))
    if to_time > now:
        found.append(FieldViolation("to_time", f"must not lie ahead: it is {format_instant(now)} now"))
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def has_execution(row: Fire | None) -> bool:
    """Whether a nominal time was given an execution, so that it must not get another."""
    return row is not None and row.outcome in {FireOutcome.STARTED, FireOutcome.BUFFERED}


def as_begun(agent: Agent, backfill: Backfill) -> Agent:
    """The agent of the generation that a backfill began with; its places are the agent's as it is now."""
    if agent.generation == backfill.generation:
        return agent
    bound = {"max_concurrency": agent.spec.execution.max_concurrency}
    execution = backfill.spec.execution.model_copy(update=bound)
    spec = backfill.spec.model_copy(update={"execution": execution})
    return replace(agent, spec=spec, generation=backfill.generation)


def free_places(bound: int, *, taken: int, waiting: int, open_of_backfill: int) -> int:
    """How many times can be fed now.

    Args:
        bound: The agent's places; 0 is no bound.
        taken: Places that runs hold.
        waiting: What is in the backlog and may start: it came first.
        open_of_backfill: Executions of the trigger's backfills that have not ended.
    """
    return max(0, bound - taken - waiting if bound else OPEN_AT_MOST - open_of_backfill)


def tells(before: int, after: int, total: int) -> bool:
    """Whether progress from `before` to `after` decided times is worth an event."""
    pace = max(1, total // _STEPS)
    return before // pace != after // pace
