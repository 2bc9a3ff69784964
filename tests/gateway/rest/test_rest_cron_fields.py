"""The seed's cron fields fire when the seed's scheduler would have, and every cron expression can be shown as fields."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.gateway.web.rest.cron_fields import expression_of, fields_of

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
ALL = range(7)


def expression(**fields):
    return expression_of(fields, field="trigger_config")


def days_of(text, *, year=2026):
    """Every day of a year on which the expression fires."""
    plan = compile_schedule(Schedule.parse({"cron": {"expression": text}}))
    found, after = [], datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    while (time := plan.next_after(after)) is not None and time.year == year:
        found.append(time.date())
        after = datetime.combine(time.date(), datetime.max.time(), tzinfo=UTC)
    return found


def year_of(fits):
    return [day for n in range(365) if fits(day := date(2026, 1, 1) + timedelta(days=n))]


@pytest.mark.parametrize(
    ("column", "weekdays"),
    [
        ("0", {MON}),
        (0, {MON}),
        ("6", {SUN}),
        ("7", {SUN}),
        ("0-4", {MON, TUE, WED, THU, FRI}),
        ("mon-fri", {MON, TUE, WED, THU, FRI}),
        ("MON,Wed", {MON, WED}),
        ("5-6", {SAT, SUN}),
        ("6-6", {SUN}),
        ("sun-sun", {SUN}),
        ("sat-sun", {SAT, SUN}),
        ("0-6", set(ALL)),
        ("*/2", {MON, WED, FRI, SUN}),
        ("*/3", {MON, THU, SUN}),
        ("1-5/2", {TUE, THU, SAT}),
        ("3/2", {THU, SAT}),
        ("5/1", {SAT, SUN}),
        ("6/1", {SUN}),
        ("0-1, 4", {MON, TUE, FRI}),
        ("*", set(ALL)),
    ],
)
def test_days_of_the_week_are_numbered_from_monday(column, weekdays):
    text = expression(hour=9, minute=0, day_of_week=column)
    assert days_of(text) == year_of(lambda day: day.weekday() in weekdays)
    # What is shown means the same, and is understood when it is sent back.
    assert days_of(expression(**fields_of(text))) == days_of(text)


@pytest.mark.parametrize(
    ("column", "weekdays"),
    [
        ("0", {SUN}),
        ("7", {SUN}),
        ("1-5", {MON, TUE, WED, THU, FRI}),
        ("0-7", set(ALL)),
        ("0-6", set(ALL)),
        ("7-7", {SUN}),
        ("5-7", {FRI, SAT, SUN}),
        ("*/2", {SUN, TUE, THU, SAT}),
        ("3/2", {WED, FRI}),
        ("0/3", {SUN, WED, SAT}),
        ("sun-tue", {SUN, MON, TUE}),
        ("sun,3", {SUN, WED}),
    ],
)
def test_an_expression_from_elsewhere_is_shown_by_names(column, weekdays):
    text = f"0 9 * * {column}"
    assert days_of(text) == year_of(lambda day: day.weekday() in weekdays)
    shown = fields_of(text)
    assert not any(one.isdigit() for one in shown["day_of_week"].split("/")[0])
    assert days_of(expression(**shown)) == days_of(text)


def test_fields_that_are_left_out_are_stars():
    assert expression() == "* * * * *"
    assert expression(minute=0, hour="9") == "0 9 * * *"
    assert expression(minute="*/15", month="jan, jul") == "*/15 * * jan,jul *"
    assert expression(second="*/10") == "*/10 * * * * *"


def test_both_day_fields_must_match_where_the_seed_let_them():
    odd_mondays = expression(minute=0, hour=0, day="*/2", day_of_week="mon")
    assert days_of(odd_mondays) == year_of(lambda day: day.day % 2 == 1 and day.weekday() == MON)
    with pytest.raises(InvalidArgument, match="both be restricted") as refused:
        expression(day=1, day_of_week="mon")
    assert [one.field for one in refused.value.violations] == ["trigger_config.day_of_week"]
    with pytest.raises(InvalidArgument, match="both be restricted"):
        expression(day="1st mon", day_of_week="mon")
    with pytest.raises(InvalidArgument, match="both be restricted"):
        expression(day=5, day_of_week="*/2")


@pytest.mark.parametrize(
    ("day", "fits"),
    [
        ("last", lambda day: (day + timedelta(days=1)).day == 1),
        ("1st mon", lambda day: day.weekday() == MON and day.day <= 7),
        ("2nd  Fri", lambda day: day.weekday() == FRI and 8 <= day.day <= 14),
        ("last sun", lambda day: day.weekday() == SUN and (day + timedelta(days=7)).month != day.month),
        (
            "1st mon, last fri",
            lambda day: (
                (day.weekday() == MON and day.day <= 7)
                or (day.weekday() == FRI and (day + timedelta(days=7)).month != day.month)
            ),
        ),
        ("1,last", lambda day: day.day == 1 or (day + timedelta(days=1)).day == 1),
    ],
)
def test_days_of_the_month_in_the_words_of_the_seed(day, fits):
    text = expression(hour=0, minute=0, day=day)
    assert days_of(text) == year_of(fits)
    assert days_of(expression(**fields_of(text))) == days_of(text)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"minute": 60}, ["minute"]),
        ({"minute": "61", "hour": ""}, ["minute", "hour"]),
        ({"hour": "9 10"}, ["hour"]),
        ({"hour": "1\t2"}, ["hour"]),
        ({"day": "6th mon"}, ["day"]),
        ({"day": "0"}, ["day"]),
        ({"day": 30, "month": "feb"}, ["day"]),
        ({"month": "13"}, ["month"]),
        ({"day_of_week": "8"}, ["day_of_week"]),
        ({"day_of_week": "mon-"}, ["day_of_week"]),
        ({"day_of_week": "fri-mon"}, ["day_of_week"]),
        ({"second": "60"}, ["second"]),
        ({"minute": "*/0", "month": "mon", "day_of_week": "jan"}, ["minute", "month", "day_of_week"]),
        ({"minute": "@daily"}, ["minute"]),
        ({"minute": "٣"}, ["minute"]),
    ],
)
def test_each_wrong_field_is_named_and_no_other(fields, wrong):
    with pytest.raises(InvalidArgument) as refused:
        expression(**fields)
    assert [one.field for one in refused.value.violations] == [f"trigger_config.{name}" for name in wrong]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("@daily", {"minute": "0", "hour": "0", "day": "*", "month": "*", "day_of_week": "*"}),
        ("@weekly", {"minute": "0", "hour": "0", "day": "*", "month": "*", "day_of_week": "sun"}),
        (
            "*/5 0 9 * JAN Mon#2,L5",
            {
                "second": "*/5",
                "minute": "0",
                "hour": "9",
                "day": "*",
                "month": "jan",
                "day_of_week": "mon#2,l5",
            },
        ),
    ],
)
def test_expressions_are_taken_apart(text, shown):
    assert fields_of(text) == shown


def test_an_expression_is_read_in_its_zone():
    plan = compile_schedule(
        Schedule.parse({"cron": {"expression": expression(hour=9, minute=0)}, "time_zone": "Europe/Berlin"})
    )
    time = plan.next_after(datetime(2026, 7, 1, tzinfo=UTC))
    assert time.astimezone(ZoneInfo("Europe/Berlin")).hour == 9
