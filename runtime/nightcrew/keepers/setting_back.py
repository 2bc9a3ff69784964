"""What becomes of schedules when time itself is corrected: a clock that is set back, and new time zone data."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.pieces import up_to
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.schedule.zone_data import carried_over, offset_of
from nightcrew.ports.store import Transaction

ZONES: Final = "tzdata"
"""Under which name the store keeps the version of the time zone data that its next times were computed with."""


def set_back(tx: Transaction, *, now: datetime) -> int:
    """The clock was set back: cursors become now, and what was passed over ahead of now is forgotten.

    Rows with an execution stay, and so do those that people or a policy decided: their times do not fire again.

    Returns:
        How many schedules had been ahead.
    """
    tx.agents.rewind(now)
    for row in tx.fires.drop_passed_ahead(now):
        schedule = _schedule(tx, row.agent_id, row.trigger_id)
        tx.fires.replace(row, [up_to(schedule, row, now)])
    return tx.fires.rewind(now)


def carry_over(tx: Transaction, *, after: tuple[str, str], limit: int) -> tuple[str, str] | None:
    """Carries cursors on local clocks over to the time zone data of now; next times are to be computed again.

    Args:
        tx: The transaction.
        after: (agent, trigger) behind which to go on.
        limit: How many at most.

    Returns:
        The last one that was carried over, or None when there are no more.
    """
    cursors = tx.fires.cursors_after(*after, limit=limit)
    for cursor in cursors:
        tx.fires.set_cursor(_carried(tx, cursor))
    return (cursors[-1].agent_id, cursors[-1].trigger_id) if cursors else None


def _carried(tx: Transaction, cursor: ScheduleCursor) -> ScheduleCursor:
    schedule = _schedule(tx, cursor.agent_id, cursor.trigger_id)
    if schedule is None or cursor.utc_offset is None:
        return replace(cursor, next_time=None)
    moved = carried_over(schedule, cursor.cursor, cursor.utc_offset)
    return replace(cursor, cursor=moved, next_time=None, utc_offset=offset_of(schedule, moved))


def _schedule(tx: Transaction, agent_id: str, trigger_id: str) -> Plan | None:
    agent = tx.agents.get(agent_id)
    trigger = agent.spec.trigger(trigger_id) if agent is not None else None
    return (
        compile_schedule(trigger.schedule) if trigger is not None and trigger.schedule is not None else None
    )
