"""Schedules worked out by hand, beside the conformance cases: odd clocks, odd fields, odd windows."""

from datetime import UTC, datetime

import pytest

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.trigger import Schedule


def cron(expression):
    return {"cron": {"expression": expression}}


def civil(days, time):
    return {"civil": {"days": days, "time_of_day": time}}


def utc(text):
    """A moment of UTC, such as `2026-09-01` or `2026-09-01T05`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(schedule, zone, after, until, **settings):
    """Its instants in (after, until], as `MM-DD HH:MM[:SS[.f]]` of UTC."""
    plan = compile_schedule(Schedule.parse({**schedule, "time_zone": zone, **settings}))
    found = plan.between(utc(after), utc(until))
    return [one.isoformat(sep=" ")[5:].removesuffix("+00:00").removesuffix(":00") for one in found]


GAPS = [
    # Samoa had no 30 December 2011: at 10:00Z its clocks leapt from the end of the 29th to the 31st.
    (cron("0 9 * * *"), "Pacific/Apia", "2011-12-29", "2012-01-01", ["12-29 19:00", "12-30 19:00", "12-31 19:00"], "12-30 10:00"),
    (civil(1, "12:00"), "Pacific/Apia", "2011-12-29", "2011-12-31", ["12-29 22:00", "12-30 22:00"], "12-30 10:00"),
    (cron("0,30 9,17 * * *"), "Pacific/Apia", "2011-12-30T05", "2011-12-30T18", [], "12-30 10:00"),
    # Clocks that leap at midnight.
    (cron("30 0 * * *"), "America/Havana", "2026-03-07", "2026-03-10", ["03-07 05:30", "03-09 04:30"], "03-08 05:00"),
    (cron("0 0 * * *"), "Asia/Beirut", "2026-03-27", "2026-03-30", ["03-27 22:00", "03-29 21:00"], "03-28 22:00"),
    (cron("15 0 * * *"), "America/Asuncion", "2023-09-30", "2023-10-03", ["09-30 04:15", "10-02 03:15"], "10-01 04:00"),
    # By half an hour, and in a zone of 12:45.
    (civil(1, "02:15"), "Australia/Lord_Howe", "2026-10-02", "2026-10-05", ["10-02 15:45", "10-04 15:15"], "10-03 15:30"),
    (cron("0 3 * * *"), "Pacific/Chatham", "2026-09-25", "2026-09-28", ["09-25 14:15", "09-27 13:15"], "09-26 14:00"),
    # By two hours, at 01:00.
    (cron("30 1,2 * * *"), "Antarctica/Troll", "2026-03-28T12", "2026-03-29T12", [], "03-29 01:00"),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "zone", "after", "until", "others", "shifted"), GAPS)
def test_gaps(schedule, zone, after, until, others, shifted):
    assert fires(schedule, zone, after, until, dst_gap="DST_GAP_SKIP") == others
    assert fires(schedule, zone, after, until) == sorted([*others, shifted])


FOLDS = [
    (cron("45 1 * * *"), "Australia/Lord_Howe", "2026-04-04", "2026-04-06", "04-04 14:45", "04-04 15:15", ["04-05 15:15"]),
    (civil(1, "01:45"), "Australia/Lord_Howe", "2026-04-04", "2026-04-06", "04-04 14:45", "04-04 15:15", ["04-05 15:15"]),
    (cron("30 0 * * *"), "America/Havana", "2026-11-01", "2026-11-03", "11-01 04:30", "11-01 05:30", ["11-02 05:30"]),
    (cron("30 23 * * *"), "America/Asuncion", "2024-03-24", "2024-03-26", "03-24 02:30", "03-24 03:30", ["03-25 03:30"]),
    (cron("15 3 * * *"), "Pacific/Chatham", "2026-04-04", "2026-04-06", "04-04 13:30", "04-04 14:30", ["04-05 14:30"]),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "zone", "after", "until", "first", "second", "others"), FOLDS)
def test_folds(schedule, zone, after, until, first, second, others):
    for fold, expected in (("FIRST", [first]), ("SECOND", [second]), ("BOTH", [first, second])):
        assert fires(schedule, zone, after, until, dst_fold=f"DST_FOLD_{fold}") == [*expected, *others]


def test_an_hour_field_that_begins_with_a_star_fires_at_every_instant_that_matches_whatever_the_settings():
    for settings in ({}, {"dst_gap": "DST_GAP_SKIP", "dst_fold": "DST_FOLD_SECOND"}):
        fold = fires(cron("30 * * * *"), "Europe/Berlin", "2026-10-24T23", "2026-10-25T02", **settings)
        assert fold == ["10-24 23:30", "10-25 00:30", "10-25 01:30"]
        gap = fires(cron("30 */1 * * *"), "Europe/Berlin", "2026-03-29", "2026-03-29T02", **settings)
        assert gap == ["03-29 00:30", "03-29 01:30"]
        # Every other hour of the clock: 2 does not exist, and does not shift.
        assert fires(cron("0 */2 * * *"), "Europe/Berlin", "2026-03-28T22:30", "2026-03-29T03", **settings) == ["03-28 23:00", "03-29 02:00"]  # fmt: skip
        assert fires(cron("0 *,5 * * *"), "UTC", "2026-01-01", "2026-01-01T02", **settings) == [
            "01-01 01:00",
            "01-01 02:00",
        ]


# September 2026 begins on a Tuesday and has 30 days.
DAYS = [
    ("13 * fri", [4, 11, 13, 18, 25]),  # both restricted: either
    ("*/2 * mon", [7, 21]),  # one begins with *: both
    ("*/1 * mon", [7, 14, 21, 28]),
    ("13 * */2", [13]),  # a Sunday, which */2 has
    ("14 * */2", []),  # a Monday, which it has not
    ("1-31/2 * mon", sorted({*range(1, 31, 2), 7, 14, 21, 28})),  # no * in front: either
    ("13 * *", [13]),
    ("l * *", [30]),
    ("l * wed", [2, 9, 16, 23, 30]),
    ("15,l * *", [15, 30]),
    ("5w * *", [4]),  # a Saturday: the Friday before
    ("6w * *", [7]),  # a Sunday: the Monday after
    ("15w * *", [15]),
    ("* * fri#2", [11]),
    ("* * 2#5", [29]),
    ("* * mon#5", []),
    ("* * l5", [25]),  # the last Friday
    ("* * 7", [6, 13, 20, 27]),
    ("* * 0", [6, 13, 20, 27]),
    ("* * fri-sun", [4, 5, 6, 11, 12, 13, 18, 19, 20, 25, 26, 27]),
    ("* * 5-7", [4, 5, 6, 11, 12, 13, 18, 19, 20, 25, 26, 27]),
    ("* * sun-mon", [6, 7, 13, 14, 20, 21, 27, 28]),
    ("* * sat,sun", [5, 6, 12, 13, 19, 20, 26, 27]),
]


@pytest.mark.parametrize(("days", "expected"), DAYS, ids=[days for days, _ in DAYS])
def test_days_of_a_month(days, expected):
    found = fires(cron(f"0 12 {days}"), "UTC", "2026-09-01", "2026-10-01")
    assert [int(one[3:5]) for one in found] == expected


@pytest.mark.parametrize(
    ("schedule", "settings", "after", "until", "expected"),
    [
        # A seconds field comes first.
        (cron("*/20 59 23 31 12 *"), {}, "2026-12-31", "2027-01-02", ["12-31 23:59", "12-31 23:59:20", "12-31 23:59:40"]),
        (cron("@weekly"), {}, "2026-09-01", "2026-09-14", ["09-06 00:00", "09-13 00:00"]),
        (cron("@YEARLY"), {}, "2026-09-01", "2027-02-01", ["01-01 00:00"]),
        # epoch + n × every + phase, whatever the clocks do: 20,697 days had passed on 2026-09-01.
        ({"interval": {"every": "7200s", "phase": "90s"}}, {}, "2026-09-01", "2026-09-01T05", ["09-01 00:01:30", "09-01 02:01:30", "09-01 04:01:30"]),
        ({"interval": {"every": "604800s"}}, {}, "2026-09-01", "2026-09-15", ["09-03 00:00", "09-10 00:00"]),
        ({"interval": {"every": "0.1s", "phase": "0.05s"}}, {}, "2026-09-01T00:00:00", "2026-09-01T00:00:00.25", ["09-01 00:00:00.050000", "09-01 00:00:00.150000", "09-01 00:00:00.250000"]),
        # Day numbers divisible by 14: 20,706 is 2026-09-10.
        (civil(14, "06:00"), {}, "2026-09-01", "2026-09-30", ["09-10 06:00", "09-24 06:00"]),
        # start_time is inclusive, end_time is not.
        (cron("0 * * * *"), {"start_time": "2026-09-01T02:00:00Z", "end_time": "2026-09-01T04:00:00Z"}, "2026-09-01", "2026-09-02", ["09-01 02:00", "09-01 03:00"]),
        ({"date": {"time": "2026-09-01T02:00:00Z"}}, {"end_time": "2026-09-01T02:00:00Z"}, "2026-09-01", "2026-09-02", []),
    ],
)  # fmt: skip
def test_other_kinds_and_fields(schedule, settings, after, until, expected):
    assert fires(schedule, "UTC", after, until, **settings) == expected
