"""Skipped times leave what is due, and nothing else does."""

from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.domain.schedule.catch_up import plan
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.leaving_out import leave_out
from nightcrew.domain.spec.trigger import Schedule

START = datetime(2026, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(number):
    return START + number * MINUTE


def numbers(times):
    return [round((time - START) / MINUTE) for time in times]


def decided(mode, skipped, *, until=5, awake=99, window=None):
    """What is left of minutes 1 to `until`; those before `awake` were missed."""
    catch_up = {"mode": f"CATCH_UP_MODE_{mode}", **({} if window is None else {"window": window})}
    schedule = compile_schedule(Schedule.parse({"interval": {"every": 60}, "catch_up": catch_up}))
    due = plan(schedule, START, at(until), awake_since=at(awake))
    left = leave_out(schedule, due, {at(n) for n in skipped}, after=START, now=at(until))
    missed = [(*numbers((one.first, one.last)), one.count) for one in left.missed]
    return missed, numbers(left.caught_up), numbers(left.on_time)


@pytest.mark.parametrize(
    ("mode", "skipped", "missed", "caught_up"),
    [
        ("LATEST", (), [(1, 4, 4)], [5]),
        ("LATEST", (3,), [(1, 2, 2), (4, 4, 1)], [5]),
        ("LATEST", (5,), [(1, 3, 3)], [4]),
        ("LATEST", (3, 4, 5), [(1, 1, 1)], [2]),
        ("LATEST", (1, 2, 3, 4, 5), [], []),
        ("ALL", (2, 5), [], [1, 3, 4]),
        ("NONE", (1, 4), [(2, 3, 2), (5, 5, 1)], []),
    ],
)
def test_missed_times(mode, skipped, missed, caught_up):
    assert decided(mode, skipped) == (missed, caught_up, [])


def test_another_is_caught_up_only_within_the_window():
    assert decided("LATEST", (5,), window=30) == ([(1, 4, 4)], [], [])


def test_times_that_are_on_time():
    assert decided("LATEST", (2, 4), awake=0) == ([], [], [1, 3, 5])


def test_what_was_not_missed_stays_so():
    assert decided("LATEST", (4,), awake=3) == ([(1, 1, 1)], [2], [3, 5])
