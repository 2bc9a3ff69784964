"""Cron and civil schedules over clock changes: the conformance cases, long times, and what previews say of them."""

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.domain.support.conformance import cases
from tests.domain.support.minute_oracle import ZONES

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.preview import preview
from nightcrew.domain.spec.trigger import Schedule

CASES = cases("schedules.json")
MICRO = timedelta(microseconds=1)


def instant(text):
    return datetime.fromisoformat(text)


def plan_of(expression, zone, gap="SHIFT", fold="FIRST", **more):
    return compile_schedule(
        Schedule.parse(
            {
                "cron": {"expression": expression},
                "time_zone": zone,
                "dst_gap": f"DST_GAP_{gap}",
                "dst_fold": f"DST_FOLD_{fold}",
                **more,
            }
        )
    )


def backwards(plan, after, until):
    found, at = [], until
    while (at := plan.latest_at_or_before(at)) is not None and at > after:
        found.append(at)
        at -= MICRO
    return found[::-1]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conformance(case):
    plan = plan_of(case["expression"], case["time_zone"], case["dst_gap"], case["dst_fold"])
    after, until = instant(case["after"]), instant(case["until"])
    expected = [instant(text) for text in case["fires"]]
    assert list(plan.between(after, until)) == expected
    assert backwards(plan, after, until) == expected
    assert plan.count(after, until) == len(expected)


@settings(max_examples=100)
@given(
    zone=st.sampled_from(ZONES),
    expression=st.sampled_from(
        [
            *("30 2 * * *", "*/20 */3 * * *", "0 0 1 * *", "15,45 0-3 1,15,31 * sun", "0 0 29 2 *"),
            *("0 0 l * *", "30 17 0 4 3,10 *", "0 12 * * fri#5"),
        ]
    ),
    gap=st.sampled_from(["SHIFT", "SKIP"]),
    fold=st.sampled_from(["FIRST", "SECOND", "BOTH"]),
    begin=st.datetimes(datetime(1980, 1, 1), datetime(2045, 1, 1)),
    days=st.integers(0, 800),
)
def test_counting_backward_and_forward_agree_over_long_times(zone, expression, gap, fold, begin, days):
    plan = plan_of(expression, zone, gap, fold)
    after = begin.replace(tzinfo=UTC)
    until = after + timedelta(days=days)
    fires = list(plan.between(after, until))
    assert fires == sorted(set(fires))
    assert plan.count(after, until) == len(fires)
    assert backwards(plan, after, until) == fires


def test_the_same_schedule_answers_the_same_from_anywhere():
    plan = plan_of("*/7 1,2 * * *", "America/Havana", fold="BOTH")
    after, until = instant("2026-10-30T00:00:00Z"), instant("2026-11-03T00:00:00Z")
    fires = list(plan.between(after, until))
    rolls = random.Random(1)
    for _ in range(300):
        at = after + (until - after) * rolls.random()
        assert plan.next_after(at) == next((one for one in fires if one > at), plan.next_after(until))
        assert plan.latest_at_or_before(at) == next(
            (one for one in fires[::-1] if one <= at), plan.latest_at_or_before(after)
        )


def test_a_day_that_never_was_shifts_to_one_fire():
    # Samoa had no 30 December 2011: its clocks leapt 24 hours.
    after, until = instant("2011-12-29T12:00:00Z"), instant("2012-01-01T12:00:00Z")
    shifted = list(plan_of("0 9,17 * * *", "Pacific/Apia").between(after, until))
    skipped = list(plan_of("0 9,17 * * *", "Pacific/Apia", gap="SKIP").between(after, until))
    leap = instant("2011-12-30T10:00:00Z")
    assert leap in shifted
    assert [at for at in shifted if at != leap] == skipped


def test_seconds_fields_over_a_fold():
    after, until = instant("2026-11-01T05:59:40Z"), instant("2026-11-01T07:00:20Z")
    exact = list(plan_of("*/10 59,0 * * * *", "America/New_York").between(after, until))
    assert len(exact) == 1 + 6 + 6 + 3
    fixed = list(plan_of("*/10 59,0 1,2 * * *", "America/New_York").between(after, until))
    assert fixed == [
        instant("2026-11-01T05:59:50Z"),
        *[instant(f"2026-11-01T07:00:{second:02}Z") for second in (0, 10, 20)],
    ]


@pytest.mark.parametrize(
    ("expression", "zone", "gap", "fold", "after", "notes"),
    [
        (
            "30 2 * * *",
            "America/New_York",
            "SHIFT",
            "FIRST",
            "2026-03-07T00:00:00Z",
            [
                "",
                "2026-03-08 02:30 does not exist as clocks go forward; runs at the first instant after it",
                "",
            ],
        ),
        (
            "30 2 * * *",
            "America/New_York",
            "SKIP",
            "FIRST",
            "2026-03-07T00:00:00Z",
            ["", "2026-03-08 02:30 does not exist as clocks go forward and was skipped before this one", ""],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "SHIFT",
            "FIRST",
            "2026-10-31T00:00:00Z",
            ["", "2026-11-01 01:30 comes twice as clocks go back; this is the first time", ""],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "SHIFT",
            "BOTH",
            "2026-10-31T12:00:00Z",
            [
                "2026-11-01 01:30 comes twice as clocks go back; this is the first time",
                "2026-11-01 01:30 comes twice as clocks go back; this is the second time",
                "",
            ],
        ),
        ("30 * * * *", "America/New_York", "SHIFT", "FIRST", "2026-11-01T04:00:00Z", ["", "", ""]),
        ("0 3 * * *", "America/New_York", "SHIFT", "FIRST", "2026-03-07T12:00:00Z", ["", "", ""]),
    ],
)
def test_previews_say_what_clock_changes_did(expression, zone, gap, fold, after, notes):
    found = preview(plan_of(expression, zone, gap, fold), instant(after), len(notes))
    assert [one.note for one in found] == notes
