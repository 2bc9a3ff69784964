"""One turn of a backfill in one transaction: what has a free place is admitted, and the ledger is rewritten."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from nightcrew.crew.admission import admit
from nightcrew.crew.backfills import end_backfill
from nightcrew.crew.commits import After
from nightcrew.crew.facts import backfill_fact
from nightcrew.crew.intake import Admission, Work
from nightcrew.crew.replacement import startable
from nightcrew.crew.residents import occupancy
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.backfill import (
    Backfill,
    BackfillEvent,
    BackfillState,
    as_begun,
    free_places,
    has_execution,
    tells,
)
from nightcrew.domain.event import BACKFILL_PROGRESS
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.lifecycle.agent import ACCEPTS_MANUAL
from nightcrew.domain.policies import max_concurrency
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.pieces import cut
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.store import Transaction

WALK: Final = 500
"""How many nominal times one turn visits at most, so that no transaction is long."""
_NEWEST: Final = (OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER)
_AT_ONCE: Final = (OverlapPolicy.SKIP, OverlapPolicy.BUFFER_ONE)
_MICRO: Final = timedelta(microseconds=1)


@dataclass(slots=True)
class _Walk:
    """What a turn has met on its way through the range."""

    cursor: datetime
    feed: list[datetime] = field(default_factory=list)
    left_out: list[datetime] = field(default_factory=list)
    deduplicated: int = 0
    at_end: bool = False
    cut_short: bool = False


def take_turn(
    tx: Transaction, after: After, backfill_id: str, *, now: datetime, new_id: Callable[[], str]
) -> bool:
    """Feeds what may be fed now; returns whether there is more to do at once.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        backfill_id: Whose turn it is; one that has ended, or whose agent is held, has none.
        now: The wall clock.
        new_id: Makes ids of executions.
    """
    backfill = tx.backfills.get(backfill_id)
    if backfill is None or backfill.state is not BackfillState.RUNNING:
        return False
    agent = tx.agents.get(backfill.agent_id)
    if agent is None or agent.state in {AgentState.STOPPING, AgentState.STOPPED}:
        end_backfill(tx, after, backfill, BackfillEvent.CANCEL, now=now, reason="the agent was stopped")
        return False
    if not after.claiming or agent.state not in ACCEPTS_MANUAL:
        return False
    begun = as_begun(agent, backfill)
    trigger = backfill.spec.trigger(backfill.trigger_id)
    if trigger is None or trigger.schedule is None:
        reason = f"trigger {backfill.trigger_id!r} is no schedule"
        end_backfill(tx, after, backfill, BackfillEvent.FAIL, now=now, reason=reason)
        return False
    schedule = compile_schedule(trigger.schedule)
    walk = _walk(tx, begun, schedule, backfill)
    works = [_work(backfill, time, new_id()) for time in walk.feed]
    admission = admit(tx, after, begun, works, now=now, overlap=backfill.overlap) if works else Admission()
    _write_rows(tx, schedule, backfill, admission, walk.left_out, now=now)
    _advance(tx, after, backfill, walk, len(admission.started) + len(admission.buffered), now=now)
    return walk.cut_short


# ---- which times ------------------------------------------------------------------------------------------


def _walk(tx: Transaction, agent: Agent, schedule: Plan, backfill: Backfill) -> _Walk:
    """Goes on from the cursor: until the places are filled, a turn's length is walked, or the range ends."""
    bound = max_concurrency(agent.spec)
    newest = bound > 0 and backfill.overlap in _NEWEST
    room = WALK if newest or backfill.overlap in _AT_ONCE else _room(tx, agent, backfill, bound)
    begin = _newest_from(tx, schedule, backfill, bound) if newest else backfill.from_time
    walk = _Walk(backfill.cursor)
    for visited, time in enumerate(schedule.between(backfill.cursor, backfill.to_time)):
        # The newest ones are decided together: they would replace each other in two turns.
        walk.cut_short = visited >= WALK and not (newest and walk.feed)
        taken = has_execution(tx.fires.covering(backfill.agent_id, backfill.trigger_id, time))
        if walk.cut_short or (not taken and len(walk.feed) >= room):
            return walk
        walk.cursor = time
        if taken:
            walk.deduplicated += 1
        elif time < begin:
            walk.left_out.append(time)
        else:
            walk.feed.append(time)
    walk.at_end = True
    walk.cut_short = False
    return walk


def _room(tx: Transaction, agent: Agent, backfill: Backfill, bound: int) -> int:
    taken = occupancy(tx, agent)
    waiting = taken.queued if agent.state is AgentState.ACTIVE else startable(tx, agent)
    ours = 0
    if not bound:
        open_now = tx.executions.open(agent.id, trigger_id=backfill.trigger_id)
        ours = sum(one.trigger.kind is TriggerKind.BACKFILL for one in open_now)
    return free_places(bound, taken=taken.places, waiting=waiting, open_of_backfill=ours)


def _newest_from(tx: Transaction, schedule: Plan, backfill: Backfill, bound: int) -> datetime:
    """The earliest of the newest times that have no execution, as many as there are places."""
    begin, found = backfill.to_time + _MICRO, 0
    time = schedule.latest_at_or_before(backfill.to_time)
    while time is not None and time > backfill.cursor and found < bound:
        if not has_execution(tx.fires.covering(backfill.agent_id, backfill.trigger_id, time)):
            begin, found = time, found + 1
        time = schedule.latest_at_or_before(time - _MICRO)
    return begin


# ---- what is written --------------------------------------------------------------------------------------


def _work(backfill: Backfill, time: datetime, execution_id: str) -> Work:
    trigger = TriggerRef(kind=TriggerKind.BACKFILL, trigger_id=backfill.trigger_id, nominal_time=time)
    return Work(execution_id=execution_id, trigger=trigger)


def _write_rows(
    tx: Transaction,
    schedule: Plan,
    backfill: Backfill,
    admission: Admission,
    left_out: Sequence[datetime],
    *,
    now: datetime,
) -> None:
    """Gives every time its row: what was fed is STARTED or BUFFERED, whatever it was before."""
    for executions, outcome in (
        (admission.started, FireOutcome.STARTED),
        (admission.buffered, FireOutcome.BUFFERED),
    ):
        for execution in executions:
            time = _nominal(execution.trigger)
            row = replace(_row(backfill, time, outcome, now=now), execution_id=execution.id)
            old = tx.fires.covering(row.agent_id, row.trigger_id, time)
            if old is None:
                tx.fires.record(row)
            else:
                tx.fires.replace(old, [*cut(schedule, old, time), row])
    # A time that was left out keeps the row it has.
    for time in left_out:
        tx.fires.record(_row(backfill, time, FireOutcome.SKIPPED_OVERLAP, now=now))
    for executions, outcome in (
        (admission.skipped, FireOutcome.SKIPPED_OVERLAP),
        (admission.dropped, FireOutcome.BUFFER_DROPPED),
    ):
        for execution in executions:
            tx.fires.record(_row(backfill, _nominal(execution.trigger), outcome, now=now))


def _nominal(trigger: TriggerRef) -> datetime:
    assert trigger.nominal_time is not None  # noqa: S101 - `_work` sets it
    return trigger.nominal_time


def _row(backfill: Backfill, time: datetime, outcome: FireOutcome, *, now: datetime) -> Fire:
    return Fire(
        agent_id=backfill.agent_id,
        trigger_id=backfill.trigger_id,
        nominal_time=time,
        last_nominal_time=time,
        actual_time=now,
        outcome=outcome,
        reason=f"backfill {backfill.id}",
    )


def _advance(
    tx: Transaction, after: After, backfill: Backfill, walk: _Walk, started: int, *, now: datetime
) -> None:
    moved = replace(
        backfill,
        cursor=walk.cursor,
        started=backfill.started + started,
        deduplicated=backfill.deduplicated + walk.deduplicated,
    )
    if moved != backfill:
        tx.backfills.advance(
            backfill.id, cursor=moved.cursor, started=moved.started, deduplicated=moved.deduplicated
        )
    if walk.at_end:
        left = moved.total - moved.started - moved.deduplicated
        policy = moved.overlap.value.removeprefix("OVERLAP_POLICY_")
        reason = f"{left} of {moved.total} times were left out by its policy {policy}" if left else ""
        end_backfill(tx, after, moved, BackfillEvent.FINISH, now=now, reason=reason)
    elif tells(backfill.started + backfill.deduplicated, moved.started + moved.deduplicated, moved.total):
        after.append(tx, backfill_fact(BACKFILL_PROGRESS, moved, now=now))
