"""Twenty years of fifty clocks, minute by minute: what fires, and when, against the slow oracle."""

import random
import time
from datetime import UTC, datetime

import pytest
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

FIRST_YEAR, LAST_YEAR = 2010, 2029
SCHEDULES = 6


@pytest.mark.parametrize("zone", ZONES)
def test_twenty_years_of_a_clock(zone, figures):
    begun = time.monotonic()
    dice = random.Random(f"soak {zone}")
    start, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    minutes = (end - start) // MINUTE
    clock = MinuteClock(zone, start - DAY, minutes + 2 * DAY // MINUTE)
    # Hours in which this clock ever leaps or comes again, and any others.
    hours = [
        reading // 60 % 24 for at, _ in clock.leaps for reading in clock.readings[at - 90 : at + 90 : 30]
    ]
    total = 0
    for _ in range(SCHEDULES):
        times, gap, fold = some_times(dice, [*hours, *range(24)]), dice.choice(GAPS), dice.choice(FOLDS)
        expected = [at for at in clock.fires(times, gap, fold) if start < at <= end]
        plan = compiled(times, zone, gap, fold)
        found = list(plan.between(start, end))
        assert found == expected, next(
            (zone, times.written, gap, fold, *pair)
            for pair in zip(found, expected, strict=False)
            if pair[0] != pair[1]
        )
        assert plan.count(start, end) == len(expected)
        total += len(expected)
    told = f"{minutes} minutes, {len(changes(zone, FIRST_YEAR, LAST_YEAR))} changes, {SCHEDULES} schedules"
    figures([f"{told}, {total} fires, {time.monotonic() - begun:.0f} s"])
