"""New time zone data: local times that have fired stay fired, and nothing else moves."""

from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.zone_data import carried_over, offset_of
from nightcrew.domain.spec.trigger import Schedule

HOUR = timedelta(hours=1)
NINE = datetime(2026, 5, 1, 7, tzinfo=UTC)
"""09:00 in Berlin."""


def compiled(expression="0 9 * * *", zone="Europe/Berlin"):
    return compile_schedule(Schedule.parse({"cron": {"expression": expression}, "time_zone": zone}))


def test_the_offset_that_is_kept():
    assert offset_of(compiled(), NINE) == 7200
    assert offset_of(compiled(), NINE.replace(month=1)) == 3600
    assert offset_of(compiled("0 * * * *"), NINE) is None
    assert offset_of(compile_schedule(Schedule.parse({"interval": {"every": 60}})), NINE) is None


@pytest.mark.parametrize("hours", [-3, -1, 0, 1, 2, 3])
def test_a_local_time_that_has_fired_does_not_fire_again(hours):
    """The data of then said `hours` more than the data of now: the same reading comes so much later."""
    schedule = compiled()
    then = NINE - hours * HOUR  # 09:00 by an offset that was greater
    cursor = carried_over(schedule, then, 7200 + hours * 3600)
    assert cursor == max(then, NINE)
    following = schedule.next_after(cursor)
    assert following is not None
    assert following == NINE + 24 * HOUR


def test_the_same_data_moves_nothing():
    schedule = compiled()
    for day in range(0, 365, 7):
        at = NINE + timedelta(days=day)
        assert carried_over(schedule, at, offset_of(schedule, at)) == at


def test_instants_are_not_moved():
    assert carried_over(compiled("0 * * * *"), NINE, 0) == NINE
    assert carried_over(compiled(), NINE, None) == NINE
