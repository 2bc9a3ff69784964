"""The seed's cron fields as a cron expression, and back.

The seed handed its fields to APScheduler, where they differ from cron in four ways that would fire on other days
in silence: days of the week are numbered from Monday, `day` and `day_of_week` must both match, `day` may be
`last` or `2nd mon`, and blanks may stand around commas. What means the same is translated; what an expression
can't say is refused.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.schedule.expression import MACROS, parse_expression

FIELDS: Final = ("second", "minute", "hour", "day", "month", "day_of_week")
"""In the order of an expression of six fields; `second` is 0 where it is left out."""

_NAMES: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_DAYS: Final = {str(number): _NAMES[number % 7] for number in range(8)}
_WEEKDAYS: Final = {str(number): _NAMES[(number + 1) % 7] for number in range(7)} | {"7": "sun"}
"""APScheduler's numbers. It has no 7, so that can only be cron's."""
_ORDINALS: Final = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_NTH_WEEKDAY: Final = re.compile(rf"({'|'.join(_ORDINALS)}|last) +({'|'.join(_NAMES)})")
_RANGE: Final = re.compile(r"([a-z]+|[0-9]+)(?:-([a-z]+|[0-9]+))?([/#][0-9]+)?")
_STEPS: Final = re.compile(r"\*/([0-9]+)")
_BLANKS: Final = re.compile(r" *, *")
_SPACE: Final = re.compile(r"\s")
_BOTH: Final = (
    "and day can't both be restricted: the seed fired when both matched, cron fires when either does;"
    ' leave one out, or name the weekday of the month as in day "1st mon"'
)


def expression_of(fields: Mapping[str, int | str], *, field: str) -> str:
    """The expression that fires when APScheduler would with these fields; those left out are `*`.

    Args:
        fields: By their names.
        field: The path of the fields' object, put before every field that an error names.

    Raises:
        InvalidArgument: Names every field that is wrong and what would be right.
    """
    texts = {name: _BLANKS.sub(",", str(value).strip().lower()) for name, value in fields.items()}
    columns, blame = _columns(texts)
    found = [
        FieldViolation(f"{field}.{blame.get(name, name)}", why)
        for name, column in columns.items()
        if (why := _flaw(name, column))
    ]
    if not (texts.get("day", "*").startswith("*") or texts.get("day_of_week", "*") == "*"):
        found.append(FieldViolation(f"{field}.day_of_week", _BOTH))
    text = " ".join(columns.values())
    if not found:
        try:
            parse_expression(text)
        except ValueError as error:  # each column is right: they never meet
            found.append(FieldViolation(f"{field}.day", str(error)))
    if found:
        raise InvalidArgument("; ".join(f"{one.field}: {one.description}" for one in found), violations=found)
    return text


def fields_of(expression: str) -> dict[str, str]:
    """The fields of an expression, whoever wrote it: days of the week by name, which mean the same to all."""
    text = expression.strip().lower()
    columns = MACROS.get(text, text).split()
    names = FIELDS[-len(columns) :]
    out = dict(zip(names, columns, strict=True))
    out["day_of_week"] = _each(out["day_of_week"], _from_sunday)
    return out


def _columns(texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The columns of cron in order, and the field to blame where a column was made from another one."""
    columns = {name: texts.get(name, "*") for name in FIELDS if name != "second" or name in texts}
    columns["day_of_week"] = _each(columns["day_of_week"], _from_monday)
    days = columns["day"].split(",")
    nth = [found for one in days if (found := _NTH_WEEKDAY.fullmatch(one))]
    if len(nth) == len(days):
        columns |= {"day": "*", "day_of_week": ",".join(_nth(one[1], one[2]) for one in nth)}
        return columns, {"day_of_week": "day"}
    columns["day"] = ",".join("l" if one == "last" else one for one in days)
    return columns, {}


def _flaw(name: str, column: str) -> str:
    """What is wrong with one column; it is tried alone, so that nothing else is blamed on it."""
    if not column or _SPACE.search(column):
        return f"{column!r} is not understood; a number, a range a-b, a step */n or a-b/n is expected"
    try:
        parse_expression(" ".join(column if one == name else "*" for one in FIELDS))
    except ValueError as error:
        return str(error)
    return ""


def _nth(which: str, weekday: str) -> str:
    return f"l{_NAMES.index(weekday)}" if which == "last" else f"{weekday}#{_ORDINALS[which]}"


def _each(column: str, change: Callable[[str], str]) -> str:
    return ",".join(change(item) for item in column.split(","))


def _from_monday(item: str) -> str:
    """One item of the days of the week, APScheduler's numbers by name."""
    found = _RANGE.fullmatch(item)
    if steps := _STEPS.fullmatch(item):
        return f"mon-sun/{steps[1]}"
    if found is None or item.startswith("l"):
        return item  # the parser knows it, or says what is wrong with it
    low, high = (one and _WEEKDAYS.get(one, one) for one in found.groups()[:2])
    return _named(low, high, found[3] or "", "sun")


def _from_sunday(item: str) -> str:
    """One item of the days of the week, cron's numbers by name."""
    found = _RANGE.fullmatch(item)
    if steps := _STEPS.fullmatch(item):
        return f"sun-sat/{steps[1]}"
    if found is None or item.startswith("l"):
        return item
    low, high = (one and _CRON_DAYS.get(one, one) for one in found.groups()[:2])
    if low == high == "sun" and found[1] != "7":
        high = "sat"  # 0-7 is the whole week, 7-7 is not
    return _named(low, high, found[3] or "", "sat")


def _named(low: str, high: str | None, rest: str, last: str) -> str:
    """An item of names. `sun` that begins a range is cron's 0: Sunday alone must not become the whole week."""
    if rest.startswith("/"):
        high = high or last
    if high is None or high == low:
        return low + (rest if rest.startswith("#") else "")
    return f"{low}-{high}{rest}"
