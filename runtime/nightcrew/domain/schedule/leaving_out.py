"""Times that people asked to leave out, taken from what is due; the rest keeps its meaning."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nightcrew.domain.schedule.catch_up import Due, Passed
from nightcrew.domain.schedule.pieces import without
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.spec.trigger import CatchUpMode

_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is to be done about a schedule once the skipped times are out of it; all in order.

    Attributes:
        missed: What catch-up passes over, in pieces round the skipped times.
        caught_up: Missed, and to be run all the same.
        on_time: To be run.
    """

    missed: tuple[Passed, ...]
    caught_up: tuple[datetime, ...]
    on_time: tuple[datetime, ...]


def leave_out(
    schedule: Plan,
    due: Due,
    skipped: Collection[datetime],
    *,
    after: datetime,
    now: datetime,
    key: tuple[str, str] = ("", ""),
) -> Remaining:
    """Takes skipped times out of what is due.

    With catch-up LATEST one run stands for all that was missed; if it is the one that was skipped, the last
    that was not takes its place, or an outage would be made good by nothing.

    Args:
        schedule: The schedule.
        due: What `plan` said.
        skipped: Nominal times of it.
        after: The cursor that `plan` was given.
        now: The wall clock.
        key: (agent, trigger), the key of the jitter.
    """
    caught_up = tuple(time for time in due.caught_up if time not in skipped)
    on_time = tuple(time for time in due.on_time if time not in skipped)
    if schedule.catch_up is CatchUpMode.LATEST and due.caught_up and not caught_up:
        last = _last_kept(schedule, due.caught_up[0], skipped, after)
        if last is not None and schedule.due_time(last, *key) >= now - schedule.window:
            caught_up = (last,)
    taken = [(time, time) for time in (*skipped, *caught_up)]
    missed = () if due.missed is None else tuple(without(schedule, due.missed, taken))
    return Remaining(missed=missed, caught_up=caught_up, on_time=on_time)


def _last_kept(
    schedule: Plan, before: datetime, skipped: Collection[datetime], after: datetime
) -> datetime | None:
    found = schedule.latest_at_or_before(before - _MICRO)
    while found is not None and found > after and found in skipped:
        found = schedule.latest_at_or_before(found - _MICRO)
    return found if found is not None and found > after else None
