"""Catch-up: which nominal times are run now, which were missed, and when to look again (semantics.md).

A time that came due while the scheduler was awake is on time, however late it is looked at: load is no
outage. One that came due before `awake_since` was missed, and the schedule's catch-up mode decides about it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.spec.trigger import CatchUpMode

DEFAULT_LIMIT: Final = 1000
"""How many fires one decision holds at most, so that a transaction stays short."""

_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Passed:
    """Nominal times in a row that are not run: one counted ledger row over [first, last]."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Known:
    """Nominal times that were computed ahead: `first` is the next after `cursor`, `following` the next after it."""

    schedule: Plan
    cursor: datetime
    first: datetime | None
    following: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done about a schedule now; all times are nominal and in order.

    Attributes:
        caught_up: Missed, and to be run all the same.
        on_time: To be run.
        overlap: The policy for `caught_up` (BUFFER_ALL with the mode ALL, or they would skip each other);
            None for the trigger's own.
        missed: Passed over by catch-up, before all others; None if nothing was.
        cursor: The cursor after it: every nominal time at or before it is decided.
        next_time: The next nominal time after `cursor`; None when the schedule is exhausted.
        wake: When `next_time` is due; not after now when the limit cut this decision short.
    """

    caught_up: tuple[datetime, ...] = ()
    on_time: tuple[datetime, ...] = ()
    overlap: OverlapPolicy | None = None
    missed: Passed | None = None
    cursor: datetime
    next_time: datetime | None
    wake: datetime | None

    @property
    def times(self) -> tuple[datetime, ...]:
        """All that is to be run, in order."""
        return self.caught_up + self.on_time


def plan(
    schedule: Plan,
    cursor: datetime,
    now: datetime,
    *,
    awake_since: datetime,
    agent_id: str = "",
    trigger_id: str = "",
    limit: int = DEFAULT_LIMIT,
    known: Known | None = None,
) -> Due:
    """What is due in (cursor, now].

    Args:
        schedule: The compiled schedule; `max_fires` is left to the caller.
        cursor: Every nominal time at or before it is decided.
        now: The wall clock.
        awake_since: Since when the scheduler has looked at this schedule without a break: its start, the end
            of an outage, of a jump of the clock, or of the agent's time of not being ACTIVE.
        agent_id: With `trigger_id`, the key of the jitter.
        trigger_id: See `agent_id`.
        limit: At most so many times to run; the rest is due at once, with the cursor of this answer.
        known: What `foresee` said of this schedule, at any moment; used if it was asked about this cursor.
    """
    key = (agent_id, trigger_id)
    if known is not None and (known.schedule is not schedule or known.cursor != cursor):
        known = None
    first = schedule.next_after(cursor) if known is None else known.first
    if first is None or (wake := schedule.due_time(first, *key)) > now:
        return Due(cursor=cursor, next_time=first, wake=None if first is None else wake)
    following = schedule.next_after(first) if known is None else known.following
    if wake >= awake_since and (following is None or following > now):
        return _answer(schedule, first, following, key, on_time=(first,))
    last_missed = _last_due(schedule, cursor, min(awake_since - _MICRO, now), key)
    missed, caught_up = _decide_missed(schedule, cursor, last_missed, now, key, limit)
    if last_missed is not None:
        cursor = caught_up[-1] if caught_up else last_missed
    on_time: tuple[datetime, ...] = ()
    # When the limit has cut off missed times, those come before any that is on time.
    if (last_missed is None or cursor >= last_missed) and (last := _last_due(schedule, cursor, now, key)):
        on_time = _first_of(schedule, cursor, last, limit - len(caught_up))
        cursor = on_time[-1] if on_time else cursor
    overlap = OverlapPolicy.BUFFER_ALL if caught_up and schedule.catch_up is CatchUpMode.ALL else None
    return replace(
        _answer(schedule, cursor, schedule.next_after(cursor), key, on_time=on_time),
        caught_up=caught_up,
        missed=missed,
        overlap=overlap,
    )


def foresee(schedule: Plan, cursor: datetime) -> Known:
    """The next two nominal times after a cursor, so that `plan` need not compute them while others wait."""
    first = schedule.next_after(cursor)
    return Known(schedule, cursor, first, None if first is None else schedule.next_after(first))


def passed(
    schedule: Plan, cursor: datetime, until: datetime, *, agent_id: str = "", trigger_id: str = ""
) -> Passed | None:
    """The nominal times after `cursor` that were due up to `until`, counted: for NOT_ACTIVE rows."""
    last = _last_due(schedule, cursor, until, (agent_id, trigger_id))
    return None if last is None else _passed(schedule, cursor, last)


def begin(schedule: Plan, now: datetime, agent_id: str, trigger_id: str) -> datetime:
    """The cursor of a schedule that takes the place of another now: what is due by now is not its own.

    What is due decides, so a time that lies before now and whose jitter reaches past it is the new one's.
    """
    found = schedule.latest_at_or_before(now)
    if found is None or schedule.due_time(found, agent_id, trigger_id) <= now:
        return now
    return found - _MICRO


def _last_due(schedule: Plan, cursor: datetime, until: datetime, key: tuple[str, str]) -> datetime | None:
    """The last nominal time after `cursor` that is due up to `until`.

    Jitter never reaches past the next nominal time, so that only the last one up to `until` can be undue yet.
    """
    found = schedule.latest_at_or_before(until)
    if found is not None and schedule.due_time(found, *key) > until:
        found = schedule.latest_at_or_before(found - _MICRO)
    return found if found is not None and found > cursor else None


def _answer(
    schedule: Plan,
    cursor: datetime,
    following: datetime | None,
    key: tuple[str, str],
    *,
    on_time: tuple[datetime, ...],
) -> Due:
    wake = None if following is None else schedule.due_time(following, *key)
    return Due(on_time=on_time, cursor=cursor, next_time=following, wake=wake)


def _decide_missed(
    schedule: Plan, cursor: datetime, last: datetime | None, now: datetime, key: tuple[str, str], limit: int
) -> tuple[Passed | None, tuple[datetime, ...]]:
    """Of the missed times in (cursor, last]: those passed over, and those run all the same."""
    if last is None:
        return None, ()
    begin = _caught_up_from(schedule, last, now, key)
    if begin is None:
        return _passed(schedule, cursor, last), ()
    before = max(begin - _MICRO, cursor)
    return _passed(schedule, cursor, before), _first_of(schedule, before, last, limit)


def _caught_up_from(schedule: Plan, last: datetime, now: datetime, key: tuple[str, str]) -> datetime | None:
    """The first of the missed times that is run all the same; None for none."""
    oldest = now - schedule.window
    match schedule.catch_up:
        case CatchUpMode.ALL:
            first = schedule.latest_at_or_before(oldest - _MICRO)
            if first is None or schedule.due_time(first, *key) < oldest:
                first = schedule.next_after(oldest - _MICRO)
            return first if first is not None and first <= last else None
        case CatchUpMode.LATEST:
            return last if schedule.due_time(last, *key) >= oldest else None
        case _:
            return None


def _first_of(schedule: Plan, after: datetime, last: datetime, limit: int) -> tuple[datetime, ...]:
    return tuple(islice(schedule.between(after, last), max(0, limit)))


def _passed(schedule: Plan, cursor: datetime, until: datetime) -> Passed | None:
    first, last = schedule.next_after(cursor), schedule.latest_at_or_before(until)
    if first is None or last is None or first > last:
        return None
    return Passed(first, last, schedule.count(cursor, last))
