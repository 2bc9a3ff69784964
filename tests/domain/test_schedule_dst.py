"""Cron and civil schedules over clock changes: the conformance cases, and a slow oracle that asks every minute."""

import json
import random
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.preview import preview
from nightcrew.domain.spec.trigger import Schedule

CASES = json.loads((Path(__file__).parents[1] / "data" / "conformance" / "schedules.json").read_text())
MINUTE, DAY, MICRO = timedelta(minutes=1), timedelta(days=1), timedelta(microseconds=1)

ZONES = """
America/Havana Asia/Beirut Australia/Lord_Howe Pacific/Chatham America/Asuncion Pacific/Apia America/New_York
America/Los_Angeles America/St_Johns America/Sao_Paulo America/Santiago America/Caracas America/Nuuk
America/Mexico_City America/Bogota America/Adak America/Halifax America/Tijuana Africa/Cairo
Africa/Casablanca Africa/El_Aaiun Africa/Juba Africa/Windhoek Africa/Nairobi Antarctica/Troll
Antarctica/Casey Asia/Amman Asia/Damascus Asia/Gaza Asia/Hebron Asia/Jerusalem Asia/Tehran Asia/Pyongyang
Asia/Kathmandu Asia/Kolkata Asia/Tokyo Asia/Ulaanbaatar Asia/Almaty Atlantic/Azores Atlantic/Bermuda
Australia/Adelaide Australia/Sydney Europe/Berlin Europe/Dublin Europe/Istanbul Europe/Lisbon Europe/London
Europe/Moscow Europe/Volgograd Pacific/Auckland Pacific/Easter Pacific/Fiji Pacific/Kiritimati Pacific/Norfolk
Pacific/Tongatapu UTC
""".split()  # noqa: SIM905 - fifty names are easier to read so
YEARS = (1994, 2007, 2011, 2016, 2018, 2022, 2023, 2026, 2039)


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


@cache
def changes():
    """(zone, UTC midnight before a change of its offset), found by asking each day of some years."""
    found = []
    for name in ZONES:
        zone = ZoneInfo(name)
        for year in YEARS:
            day = datetime(year, 1, 1, tzinfo=UTC)
            while day.year == year:
                if (day + DAY).astimezone(zone).utcoffset() != day.astimezone(zone).utcoffset():
                    found.append((name, day))
                day += DAY
        found.append((name, datetime(2026, 5, 5, tzinfo=UTC)))
    return found


@lru_cache(maxsize=512)
def minutes(name, start):
    """Two days of a zone, minute by minute: (instant, reading, passes it has, which one this is, what it leapt)."""
    zone = ZoneInfo(name)
    found, before = [], None
    for number in range(2 * 24 * 60):
        at = start + number * MINUTE
        local = at.astimezone(zone)
        reading = local.replace(tzinfo=None, fold=0)
        first, second = (reading.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        twice = second > first
        leapt = []
        if before is not None and reading - before > MINUTE:
            leapt = [before + MINUTE * n for n in range(1, (reading - before) // MINUTE)]
        found.append((at, reading, 2 if twice else 1, local.fold, leapt))
        before = reading
    return found


def oracle(name, start, matches, *, exact, gap, fold):
    fires = []
    for at, reading, passes, this, leapt in minutes(name, start):
        if exact:
            fire = matches(reading)
        else:
            wanted = passes == 1 or fold == "BOTH" or this == ("FIRST", "SECOND").index(fold)
            fire = matches(reading) and wanted
            fire = fire or (gap == "SHIFT" and any(matches(one) for one in leapt))
        if fire:
            fires.append(at)
    return fires


def test_there_are_enough_changes_to_look_at():
    assert len(ZONES) >= 50
    assert len({name for name, day in changes()}) == len(ZONES)
    assert len(changes()) > 400


def chosen(low, high):
    return st.frozensets(st.integers(low, high), min_size=1, max_size=4)


@settings(max_examples=400)
@given(st.data())
def test_every_minute_agrees_with_the_oracle(data):
    name, day = data.draw(st.sampled_from(changes()))
    start = day - DAY / 2
    exact = data.draw(st.booleans())
    # Times near the change are drawn more often than others.
    near = sorted({reading.hour for at, reading, *_ in minutes(name, start) if day <= at <= day + DAY})
    hours = data.draw(st.one_of(st.frozensets(st.sampled_from(near), min_size=1, max_size=6), chosen(0, 23)))
    step = data.draw(st.sampled_from([1, 2, 3, 5])) if exact else 0
    on_minutes = data.draw(chosen(0, 59) | st.just(frozenset(range(60))))
    weekdays = data.draw(st.frozensets(st.integers(0, 6), min_size=5))
    gap, fold = (
        data.draw(st.sampled_from(["SHIFT", "SKIP"])),
        data.draw(st.sampled_from(["FIRST", "SECOND", "BOTH"])),
    )

    def matches(reading):
        hour_fits = reading.hour % step == 0 if exact else reading.hour in hours
        return hour_fits and reading.minute in on_minutes and reading.isoweekday() % 7 in weekdays

    hour_field = f"*/{step}" if exact else ",".join(map(str, hours))
    expression = f"{','.join(map(str, on_minutes))} {hour_field} * * {','.join(map(str, weekdays))}"
    plan = plan_of(expression, name, gap, fold)
    after, until = start, start + 2 * DAY - MINUTE
    expected = [at for at in oracle(name, start, matches, exact=exact, gap=gap, fold=fold) if at > after]
    assert list(plan.between(after, until)) == expected
    assert backwards(plan, after, until) == expected
    assert plan.count(after, until) == len(expected)
    middle = data.draw(st.sampled_from(minutes(name, start)))[0]
    assert plan.count(middle, until) == len([at for at in expected if at > middle])
    assert plan.count(after, middle) == len([at for at in expected if at <= middle])


@settings(max_examples=100)
@given(st.data())
def test_civil_days_agree_with_the_oracle(data):
    name, day = data.draw(st.sampled_from(changes()))
    start = day - DAY / 2
    at_minute = data.draw(st.sampled_from(minutes(name, start)))[1]
    days = data.draw(st.sampled_from([1, 2, 3]))
    gap, fold = (
        data.draw(st.sampled_from(["SHIFT", "SKIP"])),
        data.draw(st.sampled_from(["FIRST", "SECOND", "BOTH"])),
    )
    plan = compile_schedule(
        Schedule.parse(
            {
                "civil": {"days": days, "time_of_day": f"{at_minute:%H:%M}"},
                "time_zone": name,
                "dst_gap": f"DST_GAP_{gap}",
                "dst_fold": f"DST_FOLD_{fold}",
            }
        )
    )

    def matches(reading):
        return reading.time() == at_minute.time() and (reading - datetime(1970, 1, 1)).days % days == 0

    expected = [at for at in oracle(name, start, matches, exact=False, gap=gap, fold=fold) if at > start]
    assert list(plan.between(start, start + 2 * DAY - MINUTE)) == expected
    assert plan.count(start, start + 2 * DAY - MINUTE) == len(expected)


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
