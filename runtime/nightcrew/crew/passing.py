"""Nominal times that are not run, written to the ledger: those passed over, counted, and those left out by request."""

from collections.abc import Iterable
from datetime import datetime

from nightcrew.domain.fire import Fire, FireOutcome, Skip
from nightcrew.domain.schedule.catch_up import Passed
from nightcrew.domain.schedule.pieces import without
from nightcrew.domain.schedule.plan import Plan
from nightcrew.ports.store import Transaction


def record_passed(
    tx: Transaction,
    agent_id: str,
    trigger_id: str,
    schedule: Plan,
    gone: Passed,
    outcome: FireOutcome,
    *,
    now: datetime,
) -> int:
    """Writes counted rows for a run of times, round those that have a row already; returns how many it counts.

    Times in the run can have rows: skips that people asked for, a backfill that was ahead of the schedule, or
    fires from before the clock was set back.
    """
    taken = tx.fires.spans(agent_id, trigger_id, gone.first, gone.last)
    count = 0
    for piece in without(schedule, gone, taken) if taken else (gone,):
        tx.fires.record(
            Fire(
                agent_id=agent_id,
                trigger_id=trigger_id,
                nominal_time=piece.first,
                last_nominal_time=piece.last,
                actual_time=now,
                outcome=outcome,
                count=piece.count,
            )
        )
        count += piece.count
    return count


def record_skipped(tx: Transaction, skips: Iterable[Skip], *, now: datetime) -> None:
    """Writes the rows of times that people asked to leave out, now that they are due."""
    for skip in skips:
        tx.fires.record(skipped_row(skip, now=now))


def skipped_row(skip: Skip, *, now: datetime) -> Fire:
    """The row that a skipped time has in the ledger."""
    return Fire(
        agent_id=skip.agent_id,
        trigger_id=skip.trigger_id,
        nominal_time=skip.nominal_time,
        last_nominal_time=skip.nominal_time,
        actual_time=now,
        outcome=FireOutcome.SKIPPED_BY_REQUEST,
        reason=skip.reason,
    )
