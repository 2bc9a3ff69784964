"""The days of a month that a cron expression's two day fields allow."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_LENGTHS: Final = {2: (28, 29), 4: (30,), 6: (30,), 9: (30,), 11: (30,)}
_SATURDAY: Final = 6


@dataclass(frozen=True, slots=True)
class MonthDays:
    """The day-of-month and the day-of-week field. Weekdays are cron's: 0 is Sunday.

    Attributes:
        days: Days of the month, 1 to 31.
        last_day: `L`: the last day too.
        nearest_weekday: `15W`: the day from Monday to Friday nearest to it within the month; 0 for none.
        weekdays: Days of the week.
        nth_weekdays: (weekday, n): the n-th of the month; n is 0 for the last.
        both: A day must satisfy both fields, else one is enough.
    """

    days: frozenset[int]
    last_day: bool
    nearest_weekday: int
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    both: bool

    def ever(self, months: Iterable[int]) -> bool:
        """Whether any year has such a day in one of the months (each shape of a month comes in 400 years)."""
        return any(
            days_of_month(self, weekday, length)
            for month in months
            for length in _LENGTHS.get(month, (31,))
            for weekday in range(7)
        )

    def allows(self, day: int, first_weekday: int, length: int) -> bool:
        """Whether the day of a month of that shape is one."""
        weekday = (first_weekday + day - 1) % 7
        by_day = (
            day in self.days
            or (self.last_day and day == length)
            or (self.nearest_weekday > 0 and day == _nearest(self.nearest_weekday, first_weekday, length))
        )
        by_weekday = (
            weekday in self.weekdays
            or (weekday, (day + 6) // 7) in self.nth_weekdays
            or (day + 7 > length and (weekday, 0) in self.nth_weekdays)
        )
        return by_day and by_weekday if self.both else by_day or by_weekday


@lru_cache(maxsize=8192)
def days_of_month(spec: MonthDays, first_weekday: int, length: int) -> tuple[int, ...]:
    """The days that are allowed in a month of that shape: there are only 28 shapes."""
    return tuple(day for day in range(1, length + 1) if spec.allows(day, first_weekday, length))


def _nearest(day: int, first_weekday: int, length: int) -> int:
    day = min(day, length)
    weekday = (first_weekday + day - 1) % 7
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day
