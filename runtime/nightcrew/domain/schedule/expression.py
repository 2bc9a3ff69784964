"""Cron expressions: 5 fields, 6 with seconds first, or a macro, read into sets of numbers.

The syntax is Vixie cron's with croniter's `L`, `#` and `W`. croniter itself is not used at run time: it reads
`5-5` as the whole field, wraps ranges, takes `H`, `R` and expressions that never fire, and its faults do not
say which field is wrong; the tests compare with it where both must agree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from nightcrew.domain.schedule.month import MonthDays

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

MACROS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)

_ITEM: Final = re.compile(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/([0-9]+))?")
_HASHED: Final = re.compile(r"[hr](\(.*\))?(/.*)?")
_NEAREST: Final = re.compile(r"([0-9]{1,2})w|w([0-9]{1,2})")
_NTH: Final = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)?)#([0-9]+)")
_LAST: Final = re.compile(r"l([0-7])")
_MAX_NTH: Final = 5


@dataclass(frozen=True, slots=True)
class _Field:
    """One column: its name, its bounds and the names of its numbers from `low` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_SECOND: Final = _Field("second", 0, 59)
_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
_DAY: Final = _Field("day of month", 1, 31)
_MONTH: Final = _Field("month", 1, 12, _MONTHS)
_WEEKDAY: Final = _Field("day of week", 0, 6, _WEEKDAYS)


@dataclass(frozen=True, slots=True)
class CronExpression:
    """An expression as numbers; `every_hour` says that the hour field begins with `*`."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    days: MonthDays
    every_hour: bool


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> CronExpression:
    """The numbers of an expression; ValueError names the field and says what would be right."""
    columns = _columns(text)
    second, minute, hour, day, month, weekday = columns
    months = frozenset(_numbers(_MONTH, month))
    days = _month_days(day, weekday)
    if not days.ever(months):
        raise ValueError(f"{text.strip()!r} never fires: none of its months has such a day")
    return CronExpression(
        seconds=_numbers(_SECOND, second),
        minutes=_numbers(_MINUTE, minute),
        hours=_numbers(_HOUR, hour),
        months=months,
        days=days,
        every_hour=hour.startswith("*"),
    )


def _columns(text: str) -> list[str]:
    """Six columns, seconds first."""
    lower = text.strip(" \t\r\n\f\v").lower()
    if lower.startswith("@"):
        if lower not in MACROS:
            raise ValueError(f"{lower!r} is no macro; there are {', '.join(sorted(MACROS))}")
        lower = MACROS[lower]
    # Not str.split(): that takes other scripts' spaces too.
    columns = re.findall(r"[^ \t\r\n\f\v]+", lower)
    match len(columns):
        case 5:
            return ["0", *columns]
        case 6:
            return columns
        case 7:
            raise ValueError("has 7 fields; years are not supported: bound it by start_time and end_time")
        case count:
            raise ValueError(
                "must have 5 fields (minute, hour, day of month, month, day of week), or 6 with the second"
                f" first; has {count}"
            )


def _numbers(field: _Field, column: str) -> tuple[int, ...]:
    found: set[int] = set()
    for item in _items(field, column):
        found.update(_range(field, item))
    return tuple(sorted(found))


def _items(field: _Field, column: str) -> list[str]:
    items = column.split(",")
    if "" in items:
        raise ValueError(f"{field.name}: {column!r} has an empty item between commas")
    for item in items:
        if _HASHED.fullmatch(item):
            raise ValueError(
                f"{field.name}: {item!r} would let the scheduler choose; H and R are not supported, write the"
                " number, or use jitter"
            )
    return items


def _range(field: _Field, item: str) -> range:
    found = _ITEM.fullmatch(item)
    if found is None or (found[1] == "*" and found[2]):
        raise ValueError(
            f"{field.name}: {item!r} is not understood; a number, a range a-b, a step */n or a-b/n is expected"
        )
    low_text, high_text, step_text = found.groups()
    step = 1 if step_text is None else int(step_text)
    if step == 0:
        raise ValueError(f"{field.name}: the step of {item!r} must be at least 1")
    if low_text == "*":
        return range(field.low, field.high + 1, step)
    low = _number(field, low_text)
    if high_text is None:
        low = low % 7 if field is _WEEKDAY else low
        return range(low, field.high + 1, step) if step_text else range(low, low + 1)
    high = _number(field, high_text, ends=True)
    if low > high:
        raise ValueError(
            f"{field.name}: {item!r} wraps round; write it as two ranges, from {low_text} to the end of the"
            f" field and from its beginning to {high_text}"
        )
    return range(low, high + 1, step)


def _number(field: _Field, text: str, *, ends: bool = False) -> int:
    """A number or a name; `sun` that ends a range is 7, any other is 0."""
    if text in field.names:
        number = field.low + field.names.index(text)
        return 7 if ends and field is _WEEKDAY and number == 0 else number
    if field is _DAY and ends and text == "l":
        return field.high
    top = 7 if field is _WEEKDAY else field.high
    bounds = f"{field.low}-{top}" + (f" or {'/'.join(field.names)}" if field.names else "")
    if not text.isdigit():
        raise ValueError(f"{field.name}: {text!r} is not understood; must be {bounds}")
    number = int(text)
    if not field.low <= number <= top:
        raise ValueError(f"{field.name}: {text} is out of range; must be {bounds}")
    return number


def _month_days(day: str, weekday: str) -> MonthDays:
    day, weekday = ("*" if column == "?" else column for column in (day, weekday))
    nearest = _nearest(day)
    items = [] if nearest else _items(_DAY, day)
    plain = [item for item in items if item != "l"]
    weekdays, nth = _weekdays(weekday)
    return MonthDays(
        days=frozenset(number for item in plain for number in _range(_DAY, item)),
        last_day=len(plain) < len(items),
        nearest_weekday=nearest,
        weekdays=weekdays,
        nth_weekdays=nth,
        # Vixie cron's rule, by how the field is written and not by what it holds.
        both=day.startswith("*") or weekday.startswith("*"),
    )


def _nearest(day: str) -> int:
    if "w" not in day:
        return 0
    found = _NEAREST.fullmatch(day)
    number = int(found[1] or found[2]) if found else 0
    if not _DAY.low <= number <= _DAY.high:
        raise ValueError(f"{_DAY.name}: {day!r}: W takes one day of 1-31 and stands alone, as in 15W")
    return number


def _weekdays(column: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    """The plain weekdays, and those that are the n-th of their month (0 for the last)."""
    plain: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for item in _items(_WEEKDAY, column):
        if found := _LAST.fullmatch(item):
            nth.add((int(found[1]) % 7, 0))
        elif found := _NTH.fullmatch(item):
            number = int(found[2])
            if not 1 <= number <= _MAX_NTH:
                raise ValueError(f"{_WEEKDAY.name}: {item!r}: the number after # must be 1-5")
            nth.update((one % 7, number) for one in _range(_WEEKDAY, found[1]))
        else:
            plain.update(one % 7 for one in _range(_WEEKDAY, item))
    return frozenset(plain), frozenset(nth)
