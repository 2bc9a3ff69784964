"""Compiling schedules: defaults, windows, jitter, the kinds without a clock, and every fault with its field."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.preview import preview
from nightcrew.domain.spec.trigger import CatchUpMode, Schedule

MICRO = timedelta(microseconds=1)
DAILY = {"cron": {"expression": "0 9 * * *"}}


def instant(text):
    return datetime.fromisoformat(text)


def compiled(**fields):
    return compile_schedule(Schedule.parse(fields))


def days(*numbers, month=1, hour=9):
    return [datetime(2026, month, day, hour, tzinfo=UTC) for day in numbers]


def test_defaults():
    plan = compiled(**DAILY)
    assert (plan.catch_up, plan.window, plan.jitter, plan.max_fires) == (
        CatchUpMode.LATEST,
        timedelta(365),
        0,
        0,
    )
    assert plan.next_after(instant("2026-01-01T00:00:00Z")) == days(1)[0]


@pytest.mark.parametrize(
    ("catch_up", "mode", "window"),
    [
        ({}, CatchUpMode.LATEST, timedelta(days=365)),
        ({"window": "60s"}, CatchUpMode.LATEST, timedelta(seconds=60)),
        ({"window": "0s"}, CatchUpMode.LATEST, timedelta(0)),
        ({"mode": "CATCH_UP_MODE_ALL"}, CatchUpMode.ALL, timedelta(hours=24)),
        ({"mode": "CATCH_UP_MODE_ALL", "window": "7200s"}, CatchUpMode.ALL, timedelta(hours=2)),
        ({"mode": "CATCH_UP_MODE_NONE"}, CatchUpMode.NONE, timedelta(0)),
        ({"window": "999999999999s"}, CatchUpMode.LATEST, timedelta(days=36525)),
    ],
)
def test_catch_up_settings(catch_up, mode, window):
    plan = compiled(**DAILY, catch_up=catch_up)
    assert (plan.catch_up, plan.window) == (mode, window)


def test_equal_schedules_share_their_plan():
    assert compiled(**DAILY, time_zone="Europe/Berlin") is compiled(**DAILY, time_zone="Europe/Berlin")
    assert compiled(**DAILY, time_zone="Europe/Berlin") is not compiled(**DAILY, time_zone="Europe/Paris")


@pytest.mark.parametrize(
    ("fields", "named", "said"),
    [
        ({"cron": {"expression": "0 25 * * *"}}, "cron.expression", "hour: 25 is out of range"),
        ({"cron": {"expression": "0 0 31 2 *"}}, "cron.expression", "never fires"),
        ({**DAILY, "time_zone": "Mars/Olympus"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": "Europe"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": "../etc/passwd"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": "/etc/localtime"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": "localtime"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": "right/Europe/Berlin"}, "time_zone", "IANA"),
        ({**DAILY, "time_zone": " UTC"}, "time_zone", "IANA"),
        ({"interval": {"every": "1s"}, "time_zone": "Nowhere"}, "time_zone", "IANA"),
        ({"interval": {"every": "0.099s"}}, "interval.every", "at least 0.1s"),
        ({"interval": {"every": "0s"}}, "interval.every", "at least 0.1s"),
        ({"interval": {"every": "-5s"}}, "interval.every", "at least 0.1s"),
        ({"interval": {"every": "5s", "phase": "5s"}}, "interval.phase", "shorter than interval.every"),
        ({"interval": {"every": "5s", "phase": "-1s"}}, "interval.phase", "at least 0s"),
        ({**DAILY, "jitter": "-1s"}, "jitter", "negative"),
        ({**DAILY, "catch_up": {"window": "-1s"}}, "catch_up.window", "negative"),
        (
            {**DAILY, "start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-02T00:00:00Z"},
            "end_time",
            "must be after start_time",
        ),
        # The second Sunday in March at 02:30 is in the gap every year since 2007.
        (
            {
                "cron": {"expression": "30 2 8-14 3 */7"},
                "time_zone": "America/New_York",
                "dst_gap": "DST_GAP_SKIP",
            },
            "cron.expression",
            "never fires in America/New_York",
        ),
    ],
)
def test_faults_name_their_field(fields, named, said):
    with pytest.raises(InvalidArgument) as caught:
        compile_schedule(Schedule.parse(fields), field="spec.triggers[2].schedule")
    (violation,) = caught.value.violations
    assert violation.field == f"spec.triggers[2].schedule.{named}"
    assert said in violation.description
    assert caught.value.message == f"{violation.field}: {violation.description}"


def test_all_faults_are_named_at_once():
    with pytest.raises(InvalidArgument) as caught:
        compiled(cron={"expression": "x"}, time_zone="Nowhere", jitter="-1s", catch_up={"window": "-1s"})
    assert [v.field for v in caught.value.violations] == [
        "time_zone",
        "cron.expression",
        "jitter",
        "catch_up.window",
    ]


def test_the_window_includes_its_start_and_excludes_its_end():
    plan = compiled(**DAILY, start_time="2026-01-02T09:00:00Z", end_time="2026-01-05T09:00:00Z")
    early, late = instant("2025-01-01T00:00:00Z"), instant("2027-01-01T00:00:00Z")
    assert list(plan.between(early, late)) == days(2, 3, 4)
    assert plan.count(early, late) == 3
    assert plan.latest_at_or_before(late) == days(4)[0]
    assert plan.latest_at_or_before(days(2)[0]) == days(2)[0]
    assert plan.latest_at_or_before(days(2)[0] - MICRO) is None
    assert plan.next_after(days(4)[0]) is None


def test_a_start_between_two_seconds():
    plan = compiled(cron={"expression": "* * * * * *"}, start_time="2026-01-02T09:00:00.5Z")
    assert plan.next_after(instant("2026-01-01T00:00:00Z")) == instant("2026-01-02T09:00:01Z")
    assert plan.next_after(instant("2026-01-02T09:00:01.2Z")) == instant("2026-01-02T09:00:02Z")
    assert plan.latest_at_or_before(instant("2026-01-02T09:00:02.9Z")) == instant("2026-01-02T09:00:02Z")


@given(
    every=st.integers(100_000, 10**13),
    phase=st.integers(0, 10**13),
    at=st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1)),
    steps=st.integers(0, 50),
)
def test_intervals(every, phase, at, steps):
    every, phase, at = every * MICRO, (phase % every) * MICRO, at.replace(tzinfo=UTC)
    plan = compiled(interval={"every": every, "phase": phase})
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    following, latest = plan.next_after(at), plan.latest_at_or_before(at)
    assert latest <= at < following
    assert following - latest == every
    assert (following - epoch - phase) % every == timedelta(0)
    if following + steps * every < datetime(9999, 1, 1, tzinfo=UTC):
        assert plan.count(at, following + steps * every) == steps + 1
        assert plan.count(latest, at) == 0


def test_a_huge_interval_ends_with_the_calendar():
    plan = compiled(interval={"every": "999999999999s"})
    assert plan.next_after(instant("2026-01-01T00:00:00Z")) is None
    assert plan.latest_at_or_before(instant("2026-01-01T00:00:00Z")) == instant("1970-01-01T00:00:00Z")


def test_an_interval_knows_no_clock_change():
    plan = compiled(interval={"every": "3600s"}, time_zone="America/New_York")
    found = preview(plan, instant("2026-03-08T05:30:00Z"), 3)
    assert [(one.nominal_time.hour, one.note) for one in found] == [(6, ""), (7, ""), (8, "")]


def test_a_date_fires_once():
    plan = compiled(date={"time": "2026-01-01T09:00:00.25+01:00"})
    at = instant("2026-01-01T08:00:00.25Z")
    assert plan.next_after(at - MICRO) == at
    assert plan.next_after(at) is None
    assert plan.latest_at_or_before(at) == at
    assert plan.latest_at_or_before(at - MICRO) is None
    assert (plan.count(at - MICRO, at), plan.count(at, at + MICRO)) == (1, 0)
    assert [one.note for one in preview(plan, at - MICRO, 5)] == [""]


def test_a_date_beyond_its_window_is_exhausted():
    plan = compiled(date={"time": "2026-01-02T00:00:00Z"}, end_time="2026-01-02T00:00:00Z")
    assert plan.next_after(instant("2026-01-01T00:00:00Z")) is None


def test_civil_days_keep_the_local_time():
    plan = compiled(civil={"days": 3, "time_of_day": "09:30:15"}, time_zone="Europe/Berlin")
    found = list(plan.between(instant("2026-03-25T00:00:00Z"), instant("2026-04-02T00:00:00Z")))
    assert found == [
        instant("2026-03-26T08:30:15Z"),
        instant("2026-03-29T07:30:15Z"),
        instant("2026-04-01T07:30:15Z"),
    ]
    assert all((at.date() - datetime(1970, 1, 1).date()).days % 3 == 0 for at in found)


def test_a_century_of_seconds_is_counted_by_days():
    plan = compiled(cron={"expression": "* * * * * *"}, time_zone="America/New_York")
    after, until = instant("1990-01-01T00:00:00Z"), instant("2090-01-01T00:00:00Z")
    assert plan.count(after, until) == (until - after) // timedelta(seconds=1)


@pytest.mark.parametrize("year", [1, 2, 3, 9996, 9997, 9999])
def test_the_ends_of_time_are_answered(year):
    plan = compiled(**DAILY, time_zone="Asia/Tokyo")
    at = datetime(year, 6, 1, tzinfo=UTC)
    following, latest = plan.next_after(at), plan.latest_at_or_before(at)
    assert following is None or following > at
    assert latest is None or latest <= at
    assert (following is None) == (year > 9996)
    assert (latest is None) == (year < 3)


JITTERED = compiled(**DAILY, jitter="3600s")
CROWDED = compiled(interval={"every": "10s"}, jitter="3600s")


@given(st.text(max_size=8), st.text(max_size=8), st.integers(0, 10_000))
def test_jitter_is_repeatable_and_never_passes_the_next_time(agent, trigger, number):
    for plan, room in ((JITTERED, timedelta(hours=1)), (CROWDED, timedelta(seconds=10))):
        nominal = plan.next_after(instant("2026-01-01T00:00:00Z") + number * timedelta(hours=1))
        due = plan.due_time(nominal, agent, trigger)
        assert nominal <= due < nominal + room
        assert due == plan.due_time(nominal, agent, trigger)
        assert due <= plan.next_after(nominal)


def test_jitter_spreads_agents_and_fires():
    nominal = days(1)[0]
    by_agent = [JITTERED.due_time(nominal, f"agent-{n}", "cron") - nominal for n in range(400)]
    assert len(set(by_agent)) == 400
    assert timedelta(minutes=25) < sum(by_agent, timedelta(0)) / 400 < timedelta(minutes=35)
    assert len({JITTERED.due_time(at, "a", "cron") - at for at in days(*range(1, 29))}) == 28
    # It must stay so: a release that moved it would fire twice, or not at all, for those under way.
    assert JITTERED.due_time(nominal, "a", "cron") == instant("2026-01-01T09:12:02.248272Z")


def test_no_jitter_is_due_at_once():
    assert compiled(**DAILY).due_time(days(1)[0], "a", "cron") == days(1)[0]
