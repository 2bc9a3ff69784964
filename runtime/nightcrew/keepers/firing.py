"""One schedule looked at in one transaction: what is due is admitted, the ledger and the cursor are written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from nightcrew.crew.admission import admit
from nightcrew.crew.commits import After
from nightcrew.crew.facts import missed_fact
from nightcrew.crew.intake import Admission, Work
from nightcrew.crew.passing import record_passed, record_skipped
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, TriggerKind, TriggerRef
from nightcrew.domain.fire import Fire, FireOutcome, ScheduleCursor, Skip
from nightcrew.domain.schedule.catch_up import Due, Known, Passed, passed, plan
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.leaving_out import leave_out
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.schedule.zone_data import offset_of
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.store import Transaction


def look(
    tx: Transaction,
    after: After,
    agent_id: str,
    trigger_id: str,
    *,
    now: datetime,
    awake_since: datetime,
    new_id: Callable[[], str],
    known: Known | None = None,
) -> datetime | None:
    """Fires what is due of one schedule; returns when to look again, None if nothing will come.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        agent_id: Whose schedule.
        trigger_id: Which of them.
        now: The wall clock.
        awake_since: Since when the scheduler looks without a break: what was due before was missed.
        new_id: Makes ids of executions.
        known: Times that were computed ahead, if they were.
    """
    agent = tx.agents.get(agent_id)
    cursor = tx.fires.cursor(agent_id, trigger_id)
    if agent is None or cursor is None or cursor.exhausted or agent.state is not AgentState.ACTIVE:
        return None
    trigger = agent.spec.trigger(trigger_id)
    if trigger is None or trigger.schedule is None or trigger.disabled:
        return None
    compiled = compile_schedule(trigger.schedule)
    skips = tx.skips.until(agent_id, trigger_id, now)
    position = _skip_inactive(tx, agent, compiled, cursor, skips, now=now)
    due = plan(
        compiled,
        position,
        now,
        awake_since=max(awake_since, agent.state_time),
        agent_id=agent_id,
        trigger_id=trigger_id,
        known=known,
    )
    missed: Sequence[Passed] = () if due.missed is None else (due.missed,)
    if skips:
        due, missed = _leave_out(tx, compiled, due, skips, cursor, after=position, now=now)
    if missed:
        _miss(tx, after, compiled, missed, cursor, now=now)
    fires = _fire(tx, after, agent, cursor, compiled, due, now=now, new_id=new_id)
    spent = bool(compiled.max_fires) and fires >= compiled.max_fires
    exhausted = spent or due.next_time is None
    following = replace(
        cursor,
        cursor=due.cursor,
        next_time=None if exhausted else due.next_time,
        exhausted=exhausted,
        fires=fires,
        utc_offset=offset_of(compiled, due.cursor),
    )
    if following != cursor:
        tx.fires.set_cursor(following)
    return None if exhausted else due.wake


def _leave_out(
    tx: Transaction,
    compiled: Plan,
    due: Due,
    skips: Mapping[datetime, Skip],
    cursor: ScheduleCursor,
    *,
    after: datetime,
    now: datetime,
) -> tuple[Due, Sequence[Passed]]:
    """Takes out of what is due the times that people asked to leave out, and writes their rows."""
    key = (cursor.agent_id, cursor.trigger_id)
    decided = {time: skip for time, skip in skips.items() if after < time <= due.cursor}
    record_skipped(tx, decided.values(), now=now)
    tx.skips.drop(*key, until=due.cursor)
    left = leave_out(compiled, due, decided.keys(), after=after, now=now, key=key)
    return replace(due, caught_up=left.caught_up, on_time=left.on_time), left.missed


def _miss(
    tx: Transaction,
    after: After,
    compiled: Plan,
    missed: Sequence[Passed],
    cursor: ScheduleCursor,
    *,
    now: datetime,
) -> None:
    """Writes the rows of times that catch-up passes over, and one event for all of them."""
    key = (cursor.agent_id, cursor.trigger_id)
    counts = [record_passed(tx, *key, compiled, one, FireOutcome.MISSED_CATCH_UP, now=now) for one in missed]
    if count := sum(counts):
        after.append(tx, missed_fact(*key, Passed(missed[0].first, missed[-1].last, count), now=now))


def _fire(
    tx: Transaction,
    after: After,
    agent: Agent,
    cursor: ScheduleCursor,
    compiled: Plan,
    due: Due,
    *,
    now: datetime,
    new_id: Callable[[], str],
) -> int:
    """Admits what is due; returns how many fires have been given an execution so far."""
    fires = cursor.fires
    for times, overlap in ((due.caught_up, due.overlap), (due.on_time, None)):
        left = times
        while left and (not compiled.max_fires or fires < compiled.max_fires):
            room = compiled.max_fires - fires if compiled.max_fires else len(left)
            works = [_work(cursor.trigger_id, time, new_id()) for time in left[:room]]
            left = left[room:]
            # The row comes first: it is what makes a second execution of a nominal time impossible.
            works = [
                work for work in works if tx.fires.record(_row(agent, work, FireOutcome.STARTED, now=now))
            ]
            if works:
                admission = admit(
                    tx, after, agent, works, now=now, overlap=overlap or OverlapPolicy.UNSPECIFIED
                )
                fires += len(admission.started) + len(admission.buffered)
                _resolve(tx, agent, admission, now=now)
    return fires


def _work(trigger_id: str, nominal_time: datetime, execution_id: str) -> Work:
    trigger = TriggerRef(kind=TriggerKind.SCHEDULE, trigger_id=trigger_id, nominal_time=nominal_time)
    return Work(execution_id=execution_id, trigger=trigger)


def _resolve(tx: Transaction, agent: Agent, admission: Admission, *, now: datetime) -> None:
    """Corrects the rows of what was not started."""
    for executions, outcome in (
        (admission.buffered, FireOutcome.BUFFERED),
        (admission.skipped, FireOutcome.SKIPPED_OVERLAP),
        (admission.dropped, FireOutcome.BUFFER_DROPPED),
    ):
        for execution in executions:
            row = _row(agent, execution, outcome, now=now)
            tx.fires.resolve(agent.id, row.trigger_id, row.nominal_time, fire=row)


def _row(agent: Agent, of: Work | Execution, outcome: FireOutcome, *, now: datetime) -> Fire:
    nominal = of.trigger.nominal_time
    assert nominal is not None  # noqa: S101 - `_work` sets it
    given = outcome in {FireOutcome.STARTED, FireOutcome.BUFFERED}
    return Fire(
        agent_id=agent.id,
        trigger_id=of.trigger.trigger_id,
        nominal_time=nominal,
        last_nominal_time=nominal,
        actual_time=now,
        outcome=outcome,
        execution_id=(of.execution_id if isinstance(of, Work) else of.id) if given else "",
    )


def _skip_inactive(
    tx: Transaction,
    agent: Agent,
    compiled: Plan,
    cursor: ScheduleCursor,
    skips: Mapping[datetime, Skip],
    *,
    now: datetime,
) -> datetime:
    """Times that passed while the agent was not ACTIVE are one counted row, and are not caught up."""
    if cursor.cursor >= agent.state_time:
        return cursor.cursor
    gone = passed(compiled, cursor.cursor, agent.state_time, agent_id=agent.id, trigger_id=cursor.trigger_id)
    if gone is None:
        # A time whose jitter reaches past the start still fires; without one, this need not be asked again.
        following = compiled.next_after(cursor.cursor)
        return agent.state_time if following is None or following > agent.state_time else cursor.cursor
    record_skipped(tx, [skip for time, skip in skips.items() if cursor.cursor < time <= gone.last], now=now)
    record_passed(tx, agent.id, cursor.trigger_id, compiled, gone, FireOutcome.NOT_ACTIVE, now=now)
    return gone.last
