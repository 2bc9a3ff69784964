"""The cursors of an agent's schedule triggers, kept in step with its spec in the spec's own transaction."""

from datetime import datetime

import structlog

from nightcrew.crew.commits import After
from nightcrew.crew.facts import missed_fact
from nightcrew.crew.passing import record_passed, record_skipped
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.fire import FireOutcome, ScheduleCursor
from nightcrew.domain.schedule.catch_up import Passed, begin, passed
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.ports.store import Transaction

log = structlog.get_logger(__name__)


def schedules_of(agent: Agent) -> dict[str, Schedule]:
    """The enabled schedule triggers by their ids."""
    return {t.id: t.schedule for t in agent.spec.triggers if t.schedule is not None and not t.disabled}


def sync_cursors(tx: Transaction, after: After, agent: Agent, old: Agent | None, *, now: datetime) -> None:
    """New and changed schedules begin now: an update is never retroactive, and leaves no time without a row.

    What was due by the old schedule was fired before the update was saved, where it could be.

    What counts for `max_fires` stays with the trigger, through changes and while it is disabled; a trigger that
    is gone takes its cursor along. Skips name times of one schedule: another one starts without them.
    """
    before = schedules_of(old) if old is not None else {}
    if old is not None:
        wanted = schedules_of(agent)
        for trigger_id, schedule in before.items():
            if wanted.get(trigger_id) != schedule:
                _close(tx, after, old, trigger_id, schedule, now=now)
        ids = {trigger.id for trigger in agent.spec.triggers if trigger.schedule is not None}
        for trigger in old.spec.triggers:
            if trigger.schedule is not None and trigger.id not in ids:
                tx.fires.drop_cursor(agent.id, trigger.id)
    for trigger_id, schedule in schedules_of(agent).items():
        if before.get(trigger_id) == schedule:
            continue
        key = (agent.id, trigger_id)
        kept = tx.fires.cursor(*key) if old is not None else None
        fires = kept.fires if kept is not None else 0
        plan = compile_schedule(schedule)
        tx.fires.set_cursor(
            ScheduleCursor(
                agent_id=agent.id,
                trigger_id=trigger_id,
                cursor=begin(plan, now, *key) if trigger_id in before else now,
                exhausted=plan.spent(fires),
                fires=fires,
                generation=agent.generation,
            )
        )


def _close(
    tx: Transaction, after: After, old: Agent, trigger_id: str, schedule: Schedule, *, now: datetime
) -> None:
    """Decides what a schedule that ends now has left open: it never fires again, and nothing is lost in silence."""
    cursor = tx.fires.cursor(old.id, trigger_id)
    if cursor is not None and not cursor.exhausted:
        skips = tx.skips.until(old.id, trigger_id, now)
        try:
            plan, idle, missed = _left_open(old, schedule, cursor, now=now)
            due = [skip for time, skip in skips.items() if plan.due_time(time, old.id, trigger_id) <= now]
        except Exception:
            # Nothing but sums in there: an edit is what mends a schedule that can't be planned, so it goes on.
            log.exception("a schedule's last times can't be told", agent_id=old.id, trigger_id=trigger_id)
        else:
            record_skipped(tx, due, now=now)
            _record(tx, after, cursor, plan, idle, missed, now=now)
    tx.skips.drop(old.id, trigger_id)


def _left_open(
    old: Agent, schedule: Schedule, cursor: ScheduleCursor, *, now: datetime
) -> tuple[Plan, Passed | None, Passed | None]:
    """The plan, what passed while the agent was not ACTIVE, and what was due since and was not fired all the same."""
    plan = compile_schedule(schedule)
    if plan.spent(cursor.fires):
        return plan, None, None
    active = old.state is AgentState.ACTIVE
    idle_until = min(old.state_time, now) if active else now
    idle = passed(plan, cursor.cursor, idle_until, agent_id=old.id, trigger_id=cursor.trigger_id)
    since = cursor.cursor if idle is None else idle.last
    missed = passed(plan, since, now, agent_id=old.id, trigger_id=cursor.trigger_id) if active else None
    return plan, idle, missed


def _record(
    tx: Transaction,
    after: After,
    cursor: ScheduleCursor,
    plan: Plan,
    idle: Passed | None,
    missed: Passed | None,
    *,
    now: datetime,
) -> None:
    key = (cursor.agent_id, cursor.trigger_id)
    if idle is not None:
        record_passed(tx, *key, plan, idle, FireOutcome.NOT_ACTIVE, now=now)
    if missed is not None:
        count = record_passed(tx, *key, plan, missed, FireOutcome.MISSED_CATCH_UP, now=now)
        if count:
            after.append(tx, missed_fact(*key, Passed(missed.first, missed.last, count), now=now))
