"""Cron expressions: what is read, what is refused and how, and agreement with croniter where both must agree."""

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.expression import MACROS, parse_expression
from nightcrew.domain.spec.trigger import Schedule


def numbers(text):
    found = parse_expression(text)
    return (
        list(found.seconds),
        list(found.minutes),
        list(found.hours),
        sorted(found.days.days),
        sorted(found.months),
        sorted(found.days.weekdays),
    )


def dates(text, *, year=2026, month=None):
    """The days on which an expression fires at midnight UTC, as (month, day), or the days of one month."""
    plan = compile_schedule(Schedule.parse({"cron": {"expression": f"0 0 {text}"}}))
    start = datetime(year, month or 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    end = datetime(year, 12, 31, tzinfo=UTC) if month is None else datetime(year, month, 28, tzinfo=UTC)
    end += timedelta(days=0 if month is None else 4)
    found = [at for at in plan.between(start, end) if month in {None, at.month}]
    return [at.day if month else (at.month, at.day) for at in found]


ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS = list(range(1, 32)), list(range(1, 13)), list(range(7))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 9 1 1 1", ([0], [0], [9], [1], [1], [1])),
        ("  0\t9 1  1 1 ", ([0], [0], [9], [1], [1], [1])),
        ("30 0 9 1 1 1", ([30], [0], [9], [1], [1], [1])),
        (
            "*/20 5/20 9-11 */10 1-12/4 *",
            ([*range(0, 60, 20)], [5, 25, 45], [9, 10, 11], [1, 11, 21, 31], [1, 5, 9], ALL_WEEKDAYS),
        ),
        ("0,30 9,17 1,15 jan,JUL Mon-Fri", ([0], [0, 30], [9, 17], [1, 15], [1, 7], [1, 2, 3, 4, 5])),
        ("5-5 0 1 1 *", ([0], [5], [0], [1], [1], ALL_WEEKDAYS)),
        ("59/15 0 1 1 *", ([0], [59], [0], [1], [1], ALL_WEEKDAYS)),
        ("*/90 0 1 1 *", ([0], [0], [0], [1], [1], ALL_WEEKDAYS)),
        ("0 0 15-l 1 *", ([0], [0], [0], list(range(15, 32)), [1], ALL_WEEKDAYS)),
        ("0 0 ? * ?", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS)),
        ("0 0 * * 0", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0])),
        ("0 0 * * 7", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0])),
        ("0 0 * * fri-sun", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0, 5, 6])),
        ("0 0 * * 5-7", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0, 5, 6])),
        ("0 0 * * 0-7", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS)),
        ("0 0 * * 7-7", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0])),
        ("0 0 * * sun-tue", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0, 1, 2])),
        ("0 0 * * 1-7/2", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0, 1, 3, 5])),
        ("0 0 * * 7/2", ([0], [0], [0], ALL_DAYS, ALL_MONTHS, [0, 2, 4, 6])),
        ("00 09 01 01 *", ([0], [0], [9], [1], [1], ALL_WEEKDAYS)),
    ],
)
def test_what_is_read(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(("macro", "text"), MACROS.items())
def test_macros(macro, text):
    assert parse_expression(f" {macro.upper()} ") == parse_expression(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "must have 5 fields"),
        ("", "has 0"),
        ("* * * * * * *", "years are not supported"),
        ("0 0\u00a0* * * *", "'0\\xa0*' is not understood"),
        ("@reboot", "is no macro; there are @annually, @daily"),
        ("60 * * * *", "minute: 60 is out of range; must be 0-59"),
        ("60 * * * * *", "second: 60 is out of range"),
        ("0 24 * * *", "hour: 24 is out of range; must be 0-23"),
        ("0 0 0 * *", "day of month: 0 is out of range; must be 1-31"),
        ("0 0 32 * *", "day of month: 32 is out of range"),
        ("0 0 * 13 *", "month: 13 is out of range; must be 1-12 or jan/feb"),
        ("0 0 * * 8", "day of week: 8 is out of range; must be 0-7 or sun/mon"),
        ("0 0 * foo *", "month: 'foo' is not understood"),
        ("0 0 * * l", "day of week: 'l' is not understood"),
        ("0 0 * * 5l", "day of week: '5l' is not understood"),
        ("0 0 * * l8", "day of week: 'l8' is not understood"),
        ("99999999999999999999999 0 * * *", "out of range"),
        ("*/0 * * * *", "the step of '*/0' must be at least 1"),
        ("*-5 * * * *", "minute: '*-5' is not understood"),
        ("1-5-7 * * * *", "minute: '1-5-7' is not understood"),
        ("-5 * * * *", "minute: '-5' is not understood"),
        ("1.5 * * * *", "minute: '1.5' is not understood"),
        ("1,,2 * * * *", "minute: '1,,2' has an empty item"),
        (", * * * *", "empty item"),
        ("0 22-2 * * *", "hour: '22-2' wraps round; write it as two ranges"),
        ("0 0 * * fri-mon", "day of week: 'fri-mon' wraps round"),
        ("0 0 * * 7-2", "wraps round"),
        ("0 0 * nov-feb *", "month: 'nov-feb' wraps round"),
        ("h * * * *", "minute: 'h' would let the scheduler choose"),
        ("H/15 * * * *", "H and R are not supported"),
        ("0 R(2-4) * * *", "hour: 'r(2-4)' would let"),
        ("0 0 r * *", "day of month: 'r' would let"),
        ("? * * * *", "minute: '?' is not understood"),
        ("0 0 ?,1 * *", "day of month: '?' is not understood"),
        ("0 0 15w,1 * *", "W takes one day of 1-31 and stands alone"),
        ("0 0 w * *", "W takes one day"),
        ("0 0 32w * *", "W takes one day"),
        ("0 0 1-5w * *", "W takes one day"),
        ("0 0 * * mon#0", "the number after # must be 1-5"),
        ("0 0 * * mon#6", "the number after # must be 1-5"),
        ("0 0 * * mon#", "is not understood"),
        ("0 0 * * *#2", "is not understood"),
        ("0 0 31 2 *", "'0 0 31 2 *' never fires"),
        ("0 0 30-31 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 31 2 */7", "never fires"),
    ],
)
def test_what_is_refused_and_why(text, said):
    with pytest.raises(ValueError) as caught:
        parse_expression(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "year", "month", "expected"),
    [
        ("l * *", 2026, 2, [28]),
        ("l * *", 2028, 2, [29]),
        ("1,l * *", 2026, 4, [1, 30]),
        ("15w * *", 2026, 8, [14]),  # the 15th is a Saturday
        ("w15 * *", 2026, 11, [16]),  # the 15th is a Sunday
        ("1w * *", 2026, 8, [3]),  # the 1st is a Saturday: not into July
        ("31w * *", 2026, 5, [29]),  # the 31st is a Sunday: not into June
        ("* * fri#2", 2026, 11, [13]),
        ("* * 5#5", 2026, 11, []),
        ("* * 5#5", 2026, 10, [30]),
        ("* * mon-wed#1", 2026, 12, [1, 2, 7]),
        ("* * l5", 2026, 11, [27]),
        ("* * l7", 2026, 11, [29]),
        ("* * l0", 2026, 11, [29]),
        ("* * mon,fri#1", 2026, 11, [2, 6, 9, 16, 23, 30]),
        ("13 * fri", 2026, 11, [6, 13, 20, 27]),  # one is enough
        ("1-7 * mon", 2026, 11, [1, 2, 3, 4, 5, 6, 7, 9, 16, 23, 30]),
        # Vixie cron: a field that begins with `*` makes it both.
        ("*/2 * mon", 2026, 11, [9, 23]),
        ("1-7 * */7", 2026, 11, [1]),
        ("*,1 * mon", 2026, 11, [2, 9, 16, 23, 30]),
        ("1,* * mon", 2026, 11, list(range(1, 31))),
        ("? * mon", 2026, 11, [2, 9, 16, 23, 30]),
    ],
)
def test_days(text, year, month, expected):
    assert dates(text, year=year, month=month) == expected


def test_months():
    assert dates("1 */4 *") == [(1, 1), (5, 1), (9, 1)]


def column(low, high, extra=()):
    """A list of numbers, ascending ranges and steps, all of which croniter and we must read alike."""
    number = st.integers(low, high)
    spread = (
        st.tuples(number, number)
        .filter(lambda pair: pair[0] < pair[1])
        .map(lambda pair: f"{pair[0]}-{pair[1]}")
    )
    step = st.integers(1, high)
    item = st.one_of(
        number.map(str),
        spread,
        st.tuples(spread, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        step.map(lambda value: f"*/{value}"),
        *([st.sampled_from(extra)] if extra else []),
    )
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


@given(
    second=column(0, 59),
    minute=column(0, 59),
    hour=column(0, 23),
    day=column(1, 31, ["l"]),
    month=column(1, 12, ["jan", "feb-apr", "oct-dec/2"]),
    weekday=column(0, 6, ["7", "mon", "tue-thu", "fri-sun", "5-7"]),
)
def test_numbers_are_croniters(second, minute, hour, day, month, weekday):
    text = f"{second} {minute} {hour} {day} {month} {weekday}"
    try:
        ours = parse_expression(text)
    except ValueError as error:
        assert "never fires" in str(error)  # noqa: PT017 - the only fault that such a text can have
        return
    theirs, _ = croniter.expand(text, second_at_beginning=True)
    every = [range(60), range(24), range(1, 32), range(1, 13), range(7), range(60)]
    minutes, hours, days, months, weekdays, seconds = (
        set(all_of) if found == ["*"] else set(found) for found, all_of in zip(theirs, every, strict=True)
    )
    assert set(ours.seconds) == seconds
    assert set(ours.minutes) == minutes
    assert set(ours.hours) == hours
    assert set(ours.months) == months
    assert set(ours.days.weekdays) == weekdays
    assert set(ours.days.days) | ({"l"} if ours.days.last_day else set()) == days


DAYS = ["l", "13", "1,15", "28-31", "1-7"]
WEEKDAYS = ["mon", "mon-fri", "0,6", "7"]


@given(
    # croniter ANDs `W`, `#` and `L5` with the other field even where days are ORed: these stand alone here.
    days=st.one_of(
        st.tuples(st.sampled_from([*DAYS, "15w", "1w", "31w", "*"]), st.just("*")),
        st.tuples(st.just("*"), st.sampled_from([*WEEKDAYS, "fri#2", "5#5", "l5", "l0"])),
        st.tuples(st.sampled_from(DAYS), st.sampled_from(WEEKDAYS)),
    ),
    month=st.sampled_from(["*", "2", "jan,jun", "*/5"]),
    start=st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
)
def test_days_are_croniters(days, month, start):
    text = f"30 6 {days[0]} {month} {days[1]}"
    try:
        plan = compile_schedule(Schedule.parse({"cron": {"expression": text}}))
    except InvalidArgument as error:
        assert "never fires" in error.message  # noqa: PT017 - the only fault that such a text can have
        return
    theirs = croniter(text, start)
    at = start.replace(tzinfo=UTC)
    for _ in range(5):
        at = plan.next_after(at)
        assert at.replace(tzinfo=None) == theirs.get_next(datetime)
