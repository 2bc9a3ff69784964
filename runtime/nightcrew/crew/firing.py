"""Schedules looked at in one transaction: what is due is admitted, the ledger and the cursors are written.

Of each everything is decided before anything is written: one that can't be planned has changed nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.admission import admit
from nightcrew.crew.commits import After
from nightcrew.crew.facts import missed_fact
from nightcrew.crew.intake import Admission, Work
from nightcrew.crew.passing import record_passed, record_skipped
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.execution import Execution, TriggerKind, TriggerRef
from nightcrew.domain.fire import Fire, FireOutcome, ScheduleCursor
from nightcrew.domain.schedule.catch_up import Known, Passed
from nightcrew.domain.schedule.decision import Decided, decide
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.schedule.zone_data import offset_of
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.store import Transaction

ROUNDS: Final = 10
"""How many decisions about one schedule a single transaction holds at most: each is about up to 1,000 fires."""
ENOUGH: Final = 1000
"""After how many fires a look leaves the rest for the next transaction."""

Key = tuple[str, str]
"""(agent, trigger)"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look: when to look again (None if nothing will come), or why it can't be planned."""

    wake: datetime | None = None
    fault: Exception | None = None


def look(
    tx: Transaction, after: After, keys: Sequence[Key], *, now: datetime, known: Mapping[Key, Known]
) -> list[Looked]:
    """Fires what is due of some schedules. One that can't be planned has changed nothing, and the others fire.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        keys: (agent, trigger) of each schedule.
        now: The wall clock.
        known: Times that were computed ahead, of those for which they were.
    """
    looked: list[Looked] = []
    fired = 0
    agent_ids = list({agent_id for agent_id, _ in keys})
    cursors, idle = tx.fires.cursors_of(agent_ids), tx.executions.idle_of(agent_ids)
    for key in keys:
        if fired >= ENOUGH:
            looked.append(Looked(now))
            continue
        cursor, agent = cursors.get(key), tx.agents.get(key[0])
        if agent is None or cursor is None:
            looked.append(Looked())
            continue
        skips = tx.skips.until(*key, now)
        try:
            decided = decide(
                agent, cursor, skips, awake_since=after.awake_since or now, now=now, known=known.get(key)
            )
        except Exception as fault:  # noqa: BLE001 - it is told, with its agent in ERROR
            looked.append(Looked(fault=fault))
        else:
            alone = key[0] in idle
            idle.discard(key[0])
            wake = None if decided is None else _write(tx, after, decided, now=now, idle=alone)
            looked.append(Looked(wake))
            fired += 0 if decided is None else len(decided.due.times)
    return looked


def fire_before(tx: Transaction, after: After, agent: Agent, *, now: datetime, at_once: bool = True) -> None:
    """Fires what is due of an agent's schedules before something else becomes of them: an edit, a command.

    So no time is lost that nobody had looked at yet, and none of the old version fires after the answer.

    Args:
        tx: The transaction of the edit or command, in which the agent is still as it was.
        after: What must follow its commit.
        agent: The agent; one that is not ACTIVE has nothing due.
        now: The wall clock.
        at_once: Whether what has a place is started; else it waits in the backlog for what becomes of the agent.
    """
    if agent.state is not AgentState.ACTIVE:
        return
    claiming = after.claiming
    # While nobody fires, the runtime is starting: the programs of old versions may be gone.
    after.claiming = claiming and at_once and after.awake_since is not None
    for cursor in tx.fires.cursors(agent.id):
        _fire_one_before(tx, after, agent, cursor, now=now)
    after.claiming = claiming


def _fire_one_before(
    tx: Transaction, after: After, agent: Agent, cursor: ScheduleCursor, *, now: datetime
) -> None:
    at: ScheduleCursor | None = cursor
    for _ in range(ROUNDS):
        if at is None or (at.next_time is not None and at.next_time > now):
            return
        skips = tx.skips.until(agent.id, at.trigger_id, now)
        try:
            decided = decide(agent, at, skips, awake_since=after.awake_since or now, now=now)
        except Exception:
            # An edit is what mends a schedule that can't be planned, and a command must go through.
            log.exception(
                "a schedule's last times can't be told", agent_id=agent.id, trigger_id=at.trigger_id
            )
            return
        wake = None if decided is None else _write(tx, after, decided, now=now)
        if wake is None or wake > now:
            return
        at = tx.fires.cursor(agent.id, cursor.trigger_id)


def _write(
    tx: Transaction, after: After, decided: Decided, *, now: datetime, idle: bool = False
) -> datetime | None:
    """Writes what was decided (of an agent that is known to be idle); returns when to look again."""
    cursor, schedule, due = decided.cursor, decided.plan, decided.due
    key = (cursor.agent_id, cursor.trigger_id)
    if decided.skips:
        record_skipped(tx, decided.skips, now=now)
        tx.skips.drop(*key, until=due.cursor)
    if decided.idle is not None:
        record_passed(tx, *key, schedule, decided.idle, FireOutcome.NOT_ACTIVE, now=now)
    if decided.missed:
        _miss(tx, after, schedule, decided.missed, cursor, now=now)
    fires = _fire(tx, after, decided, now=now, idle=idle)
    exhausted = schedule.spent(fires) or due.next_time is None
    following = replace(
        cursor,
        cursor=due.cursor,
        next_time=None if exhausted else due.next_time,
        exhausted=exhausted,
        fires=fires,
        utc_offset=offset_of(schedule, due.cursor),
    )
    if following != cursor:
        tx.fires.set_cursor(following)
    return None if exhausted else due.wake


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


def _fire(tx: Transaction, after: After, decided: Decided, *, now: datetime, idle: bool) -> int:
    """Admits what is due; returns how many fires have been given an execution so far."""
    agent, cursor, bound = decided.agent, decided.cursor, decided.plan.max_fires
    fires, due = cursor.fires, decided.due
    for times, overlap in ((due.caught_up, due.overlap), (due.on_time, None)):
        left = times
        while left and (not bound or fires < bound):
            room = bound - fires if bound else len(left)
            works = [_work(cursor.trigger_id, time, after.new_id()) for time in left[:room]]
            left = left[room:]
            # The row comes first: it is what makes a second execution of a nominal time impossible.
            works = [
                work for work in works if tx.fires.record(_row(agent, work, FireOutcome.STARTED, now=now))
            ]
            if works:
                policy = overlap or OverlapPolicy.UNSPECIFIED
                admission = admit(tx, after, agent, works, now=now, overlap=policy, idle=idle)
                idle = False
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
