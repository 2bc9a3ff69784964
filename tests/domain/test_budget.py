"""Budgets: windows, units, and when a limit forbids more."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.budget import Limit, limits_of, plain, spent, units, window
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.limits import AgentLimits, Per

MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("per", "start", "end"),
    [
        (Per.HOUR, datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (Per.DAY, datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (Per.MONTH, datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_window(per, start, end):
    assert window(per, datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == (start, end)
    assert window(per, start) == (start, end)
    assert window(per, end)[0] == end


@given(MOMENTS, st.sampled_from([Per.HOUR, Per.DAY, Per.MONTH]))
def test_windows_cover_all_time_and_do_not_overlap(moment, per):
    start, end = window(per, moment)
    assert start <= moment < end
    assert window(per, end - timedelta(microseconds=1)) == (start, end)
    assert window(per, end)[0] == end


@pytest.mark.parametrize(
    ("starts", "used", "forbids"),
    [(True, 9, False), (True, 10, True), (True, 11, True), (False, 10, False), (False, 11, True)],
)
def test_what_counts_starts_forbids_one_more_and_the_rest_what_is_past_it(starts, used, forbids):
    assert Limit("c", "n", Per.DAY, 10, 1, starts=starts).forbids(used) is forbids


@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_sums_are_exact(cents):
    assert sum(units(one / 100) for one in cents) == units(sum(cents) / 100)


def test_ten_tenths_are_one():
    assert sum(units(0.1) for _ in range(10)) == units(1)
    assert units(0.0000000015) == 2


def test_its_limits_in_order_and_what_is_said_of_one():
    limits = AgentLimits.parse(
        {
            "executions_per_hour": 10,
            "run_time_per_day": "90s",
            "spend": [{"name": "usd", "max": 5}, {"name": "usd", "per": "PER_MONTH", "max": 50.5}],
        }
    )
    found = limits_of(limits)
    now = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
    assert [one.reached(one.most + 1, now) for one in found] == [
        "limit_reached: executions 11 of 10 in this hour, until 2026-11-26T13:00:00Z",
        "limit_reached: run_time 90.000001 s of 90 s in this day, until 2026-11-27T00:00:00Z",
        "limit_reached: usd 5.000000001 of 5 in this day, until 2026-11-27T00:00:00Z",
        "limit_reached: usd 50.500000001 of 50.5 in this month, until 2026-12-01T00:00:00Z",
    ]
    assert len({one.counter for one in found}) == len(found)


@pytest.mark.parametrize(("used", "scale", "text"), [(0, 1, "0"), (100, 1, "100"), (10**9, 10**9, "1")])
def test_units_as_people_write_them(used, scale, text):
    assert plain(used, scale) == text


@pytest.mark.parametrize(
    ("name", "amount", "field"),
    [
        ("", 1, "name"),
        ("USD", 1, "name"),
        ("usd\n", 1, "name"),
        (3, 1, "name"),
        ("usd", -0.01, "amount"),
        ("usd", float("nan"), "amount"),
        ("usd", float("inf"), "amount"),
        ("usd", 1e9 + 1, "amount"),
        ("usd", "1", "amount"),
        ("usd", True, "amount"),
        ("usd", None, "amount"),
    ],
)
def test_a_report_that_is_wrong_is_named(name, amount, field):
    with pytest.raises(InvalidArgument) as caught:
        spent(name, amount)
    assert [one.field for one in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"executions_per_hour": -1}, "limits.executions_per_hour"),
        ({"executions_per_hour": 1.5}, "limits.executions_per_hour"),
        ({"run_time_per_day": "0s"}, "limits"),
        ({"run_time_per_day": "-1s"}, "limits"),
        ({"run_time_per_day": "a day"}, "limits.run_time_per_day"),
        ({"spend": [{"name": "usd"}]}, "limits.spend[0].max"),
        ({"spend": [{"max": 1}]}, "limits.spend[0].name"),
        ({"spend": [{"name": "US D", "max": 1}]}, "limits.spend[0].name"),
        ({"spend": [{"name": "usd", "max": 0}]}, "limits.spend[0].max"),
        ({"executions_per_hour": 2**31}, "limits.executions_per_hour"),
        ({"spend": [{"name": "usd", "max": -1}]}, "limits.spend[0].max"),
        ({"spend": [{"name": "usd", "max": 1e10}]}, "limits.spend[0].max"),
        ({"spend": [{"name": "usd", "per": "PER_YEAR", "max": 1}]}, "limits.spend[0].per"),
        ({"spend": [{"name": "a", "max": 1}, {"name": "a", "per": "PER_DAY", "max": 2}]}, "limits"),
        ({"spend": [{"name": f"n{n}", "max": 1} for n in range(21)]}, "limits.spend"),
        ({"per_hour": 1}, "limits.per_hour"),
    ],
)
def test_limits_that_are_wrong_are_named(data, field):
    with pytest.raises(InvalidArgument) as caught:
        AgentLimits.parse(data, field="limits")
    assert [one.field for one in caught.value.violations] == [field]
