"""Runs of nominal times in pieces: what is left of a counted run once times in it have rows of their own."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from nightcrew.domain.fire import Fire
from nightcrew.domain.schedule.catch_up import Passed
from nightcrew.domain.schedule.plan import Plan

Span = tuple[datetime, datetime]
"""From one moment to another, both included."""

_MICRO: Final = timedelta(microseconds=1)


def without(schedule: Plan, gone: Passed, taken: Iterable[Span]) -> list[Passed]:
    """What is left of a run of nominal times without those that lie in spans; spans may overlap."""
    left: list[Passed] = []
    after = gone.first - _MICRO
    for first, last in sorted(taken):
        _add(left, schedule, after, min(first - _MICRO, gone.last))
        after = max(after, last)
    _add(left, schedule, after, gone.last)
    return left


def _add(left: list[Passed], schedule: Plan, after: datetime, until: datetime) -> None:
    count = schedule.count(after, until)
    first, last = schedule.next_after(after), schedule.latest_at_or_before(until)
    if count and first is not None and last is not None:
        left.append(Passed(first, last, count))


def cut(schedule: Plan, row: Fire, at: datetime) -> list[Fire]:
    """The rows that cover what a row covers, save one nominal time of the schedule within it.

    The row may have been counted by an earlier schedule of the trigger. Then its inner times are not known any
    more: the pieces' counts are shares by length, and still sum up to what the row counted.
    """
    if row.nominal_time == row.last_nominal_time:
        return []
    whole = Passed(row.nominal_time, row.last_nominal_time, row.count)
    counted_by_it = without(schedule, whole, ()) == [whole]
    pieces = without(schedule, whole, [(at, at)]) if counted_by_it else _shares(whole, at)
    return [
        replace(row, nominal_time=one.first, last_nominal_time=one.last, count=one.count) for one in pieces
    ]


def up_to(schedule: Plan | None, row: Fire, moment: datetime) -> Fire:
    """A counted row without what it covers beyond a moment that lies within it.

    Where the schedule is not the one that counted it, or is gone, the count is a share by length.
    """
    whole = Passed(row.nominal_time, row.last_nominal_time, row.count)
    if schedule is not None and without(schedule, whole, ()) == [whole]:
        left = without(schedule, whole, [(moment + _MICRO, whole.last)])[0]
    else:
        share = round(whole.count * ((moment - whole.first) / (whole.last - whole.first)))
        left = Passed(whole.first, moment, min(max(share, 1), whole.count - 1))
    return replace(row, last_nominal_time=left.last, count=left.count)


def _shares(whole: Passed, at: datetime) -> list[Passed]:
    """The ends of a counted row are nominal times of its own schedule, whatever lies between."""
    if at == whole.first:
        return [Passed(whole.first + _MICRO, whole.last, whole.count - 1)]
    if at == whole.last:
        return [Passed(whole.first, whole.last - _MICRO, whole.count - 1)]
    share = round(whole.count * ((at - whole.first) / (whole.last - whole.first)))
    before = min(max(share, 1), whole.count - 1)
    return [
        Passed(whole.first, at - _MICRO, before),
        Passed(at + _MICRO, whole.last, whole.count - before),
    ]
