"""Readings of a local clock: days times times of day, as whole seconds since 1970-01-01T00:00 on that clock."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Protocol

from nightcrew.domain.schedule.month import MonthDays, days_of_month

DAY: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date.max.toordinal() - _EPOCH_ORDINAL
_FIRST_DAY: Final = date.min.toordinal() - _EPOCH_ORDINAL
_YEAR: Final = 12
HORIZON_YEARS: Final = 100
"""No calendar rule pauses longer: 29 February on one weekday comes at least every 40 years."""


class Days(Protocol):
    """Which days there are; a day is its number since 1970-01-01."""

    def at_or_after(self, day: int) -> int | None:
        """The first one from `day` on; None beyond the horizon."""

    def at_or_before(self, day: int) -> int | None:
        """The last one up to `day`; None beyond the horizon."""

    def count(self, first: int, end: int) -> int:
        """How many there are in [first, end)."""


@dataclass(frozen=True, slots=True)
class EveryNthDay:
    """Days whose number is divisible by `step`."""

    step: int

    def at_or_after(self, day: int) -> int | None:
        """The first one from `day` on."""
        return -(-day // self.step) * self.step

    def at_or_before(self, day: int) -> int | None:
        """The last one up to `day`."""
        return day // self.step * self.step

    def count(self, first: int, end: int) -> int:
        """How many there are in [first, end)."""
        return max(0, (end - 1) // self.step - (first - 1) // self.step)


@dataclass(frozen=True, slots=True)
class CalendarDays:
    """Days that a cron expression's three day fields allow."""

    months: frozenset[int]
    days: MonthDays

    def at_or_after(self, day: int) -> int | None:
        """The first one from `day` on; None if there is none within the horizon."""
        if day > _LAST_DAY:
            return None
        year, month, number = _split(day)
        for index in range(year * _YEAR + month - 1, min(year + HORIZON_YEARS, date.max.year) * _YEAR):
            days = self._of(index)
            place = bisect_left(days, number)
            if place < len(days):
                return _month(index)[0] + days[place] - 1
            number = 1
        return None

    def at_or_before(self, day: int) -> int | None:
        """The last one up to `day`; None if there is none within the horizon."""
        if day < _FIRST_DAY:
            return None
        year, month, number = _split(day)
        for index in range(year * _YEAR + month - 1, max(year - HORIZON_YEARS, date.min.year) * _YEAR, -1):
            days = self._of(index)
            place = bisect_right(days, number)
            if place:
                return _month(index)[0] + days[place - 1] - 1
            number = 31
        return None

    def count(self, first: int, end: int) -> int:
        """How many there are in [first, end)."""
        if first >= end:
            return 0
        (year, month, first_number), (last_year, last_month, last_number) = _split(first), _split(end - 1)
        begin, finish = year * _YEAR + month - 1, last_year * _YEAR + last_month - 1
        total = sum(len(self._of(index)) for index in range(begin, finish + 1))
        total -= bisect_left(self._of(begin), first_number)
        return total - (len(self._of(finish)) - bisect_right(self._of(finish), last_number))

    def _of(self, index: int) -> tuple[int, ...]:
        if index % _YEAR + 1 not in self.months:
            return ()
        _, weekday, length = _month(index)
        return days_of_month(self.days, weekday, length)


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings that match: each of the days at each of the minutes of a day at each of the seconds."""

    days: Days
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def at_or_after(self, reading: int) -> int | None:
        """The first one from `reading` on; None beyond the horizon."""
        day, second = divmod(reading, DAY)
        found = self.days.at_or_after(day)
        if found is None:
            return None
        if found > day:
            return found * DAY + self.minutes[0] * 60 + self.seconds[0]
        minute, rest = divmod(second, 60)
        place = bisect_left(self.minutes, minute)
        if place < len(self.minutes) and self.minutes[place] == minute:
            if rest <= self.seconds[-1]:
                return day * DAY + minute * 60 + self.seconds[bisect_left(self.seconds, rest)]
            place += 1
        if place < len(self.minutes):
            return day * DAY + self.minutes[place] * 60 + self.seconds[0]
        following = self.days.at_or_after(day + 1)
        return None if following is None else following * DAY + self.minutes[0] * 60 + self.seconds[0]

    def at_or_before(self, reading: int) -> int | None:
        """The last one up to `reading`; None beyond the horizon."""
        day, second = divmod(reading, DAY)
        found = self.days.at_or_before(day)
        rank = self._rank(second + 1) if found == day else 0
        if found == day and not rank:
            found = self.days.at_or_before(day - 1)
        if found is None:
            return None
        minute, place = divmod((rank or self._per_day()) - 1, len(self.seconds))
        return found * DAY + self.minutes[minute] * 60 + self.seconds[place]

    def count(self, first: int, end: int) -> int:
        """How many there are in [first, end), by whole days."""
        if first >= end:
            return 0
        (first_day, first_second), (end_day, end_second) = divmod(first, DAY), divmod(end, DAY)
        total = self.days.count(first_day, end_day) * self._per_day()
        if self.days.count(first_day, first_day + 1):
            total -= self._rank(first_second)
        if end_second and self.days.count(end_day, end_day + 1):
            total += self._rank(end_second)
        return total

    def _per_day(self) -> int:
        return len(self.minutes) * len(self.seconds)

    def _rank(self, second: int) -> int:
        """How many times of a day come before that second of it."""
        minute, rest = divmod(second, 60)
        place = bisect_left(self.minutes, minute)
        before = place * len(self.seconds)
        if place < len(self.minutes) and self.minutes[place] == minute:
            before += bisect_left(self.seconds, rest)
        return before


def _split(day: int) -> tuple[int, int, int]:
    found = date.fromordinal(day + _EPOCH_ORDINAL)
    return found.year, found.month, found.day


@lru_cache(maxsize=4096)
def _month(index: int) -> tuple[int, int, int]:
    """The number of a month's first day, its weekday (0 is Sunday), and the month's length."""
    year, month = divmod(index, _YEAR)
    first = date(year, month + 1, 1)
    following = date(year + (month + 1) // _YEAR, (month + 1) % _YEAR + 1, 1)
    return first.toordinal() - _EPOCH_ORDINAL, first.isoweekday() % 7, (following - first).days
