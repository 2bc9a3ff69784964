"""Two days round every change of fifty clocks in twenty years, against an oracle that asks every minute."""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.domain.support.minute_oracle import (
    DAY,
    FOLDS,
    GAPS,
    MINUTE,
    ZONES,
    MinuteClock,
    changes,
    compiled,
    some_times,
)

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.trigger import Schedule

FIRST_YEAR, LAST_YEAR = 2010, 2029
MICRO = timedelta(microseconds=1)


def check(plan, expected, after, until):
    """Forwards, backwards, counted, and from anywhere in between: always the same."""
    assert list(plan.between(after, until)) == expected
    back, at = [], until
    while (at := plan.latest_at_or_before(at)) is not None and at > after:
        back.append(at)
        at -= MICRO
    assert back[::-1] == expected
    assert plan.count(after, until) == len(expected)
    pairs = list(zip([after, *expected], expected, strict=False))
    for before, following in pairs[:: len(pairs) // 8 + 1]:
        for now in (before, before + MICRO, before + (following - before) / 2, following - MICRO):
            assert plan.next_after(now) == following
        assert plan.latest_at_or_before(following - MICRO) in {before, plan.latest_at_or_before(after)}


def near_the_change(clock):
    """The hours that the clock shows about when it leaps or comes again."""
    at = clock.leaps[0][0] if clock.leaps else min(clock.second)
    return sorted({reading // 60 % 24 for reading in clock.readings[max(0, at - 90) : at + 90]})


def test_there_are_enough_changes():
    assert len(ZONES) >= 50
    assert sum(len(changes(zone, FIRST_YEAR, LAST_YEAR)) for zone in ZONES) > 1000
    assert changes("Pacific/Apia", 2011, 2011)[-1].day == 30


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_of_a_zone(zone):
    dice = random.Random(zone)
    for day in changes(zone, FIRST_YEAR, LAST_YEAR):
        start = day - DAY / 2
        clock = MinuteClock(zone, start, 2 * 24 * 60)
        times, gap, fold = some_times(dice, near_the_change(clock)), dice.choice(GAPS), dice.choice(FOLDS)
        after, until = start, start + 2 * DAY - MINUTE
        expected = [at for at in clock.fires(times, gap, fold) if after < at <= until]
        check(compiled(times, zone, gap, fold), expected, after, until)


KINDS = [
    {"cron": {"expression": "*/7 1,2 * * *"}, "time_zone": "America/Havana", "dst_fold": "DST_FOLD_BOTH"},
    {"cron": {"expression": "15 */2 l * mon"}, "time_zone": "Australia/Lord_Howe"},
    {"cron": {"expression": "*/10 30 2 * * *"}, "time_zone": "Asia/Beirut", "dst_gap": "DST_GAP_SKIP"},
    {"civil": {"days": 3, "time_of_day": "00:15:30"}, "time_zone": "America/Asuncion"},
    {"interval": {"every": "0.1s"}},
    {"interval": {"every": "5400s", "phase": "0.25s"}},
    {"date": {"time": "2024-03-31T01:30:00Z"}},
]


@given(
    kind=st.sampled_from(KINDS),
    now=st.datetimes(datetime(2023, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    window=st.sampled_from([{}, {"start_time": "2024-10-27T00:00:00Z", "end_time": "2026-03-29T01:00:00Z"}]),
    part=st.floats(0, 1, exclude_max=True),
)
def test_the_next_time_is_the_next_of_every_moment_until_it(kind, now, window, part):
    plan = compile_schedule(Schedule.parse({**kind, **window}))
    following = plan.next_after(now)
    until = following or now + timedelta(days=900)
    between = min(now + (until - now) * part, until - MICRO)  # the product is rounded
    assert plan.next_after(between) == following
    if following is not None:
        assert now < following
        assert plan.latest_at_or_before(following) == following
        assert plan.count(now, following) == 1
        assert plan.count(now, following - MICRO) == 0
