"""Budgets: the windows of limits, what counts against them in whole units, and what is said of one that is reached."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from nightcrew.domain.durations import format_instant
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.limits import MAX_AMOUNT, SPEND_NAME, AgentLimits, Per

REACHED: Final = "limit_reached"
"""Why an agent is PAUSED that has used up a limit; a sentence follows."""
EXECUTIONS: Final = "executions"
RUN_TIME: Final = "run_time"
_SPEND: Final = "spend/"
UNITS: Final = 1_000_000_000
"""Units in one of what is reported: billionths, so that sums are exact."""
MOST: Final = 2**62
"""What a counter stops at."""
_NAME: Final = re.compile(SPEND_NAME)
_MICRO: Final = timedelta(microseconds=1)
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of an agent.

    Attributes:
        counter: What is counted, by the name that the store has for it.
        name: What people call it.
        per: Its window.
        most: How many units may be used.
        scale: Units in one of what people see.
        starts: Whether it counts starts: then using all of it is no fault, only one more would be.
    """

    counter: str
    name: str
    per: Per
    most: int
    scale: int
    starts: bool = False

    def forbids(self, used: int) -> bool:
        """Whether nothing more may start once so much is used."""
        return used >= self.most if self.starts else used > self.most

    def reached(self, used: int, now: datetime) -> str:
        """What is said of it, its value and the end of its window."""
        unit = " s" if self.name == RUN_TIME else ""
        per = self.per.value.removeprefix("PER_").lower()
        until = format_instant(window(self.per, now)[1])
        return (
            f"{REACHED}: {self.name} {plain(used, self.scale)}{unit} of {plain(self.most, self.scale)}{unit}"
            f" in this {per}, until {until}"
        )


def limits_of(limits: AgentLimits) -> tuple[Limit, ...]:
    """Its limits, in the order in which they are asked."""
    found = []
    if limits.executions_per_hour:
        found.append(Limit(EXECUTIONS, EXECUTIONS, Per.HOUR, limits.executions_per_hour, 1, starts=True))
    if limits.run_time_per_day is not None:
        found.append(Limit(RUN_TIME, RUN_TIME, Per.DAY, limits.run_time_per_day // _MICRO, _MICROS))
    for one in limits.spend:
        per = Per.DAY if one.per is Per.UNSPECIFIED else one.per
        found.append(Limit(f"{_SPEND}{one.name}/{per.value}", one.name, per, units(one.max), UNITS))
    return tuple(found)


def spends(limit: Limit, name: str) -> bool:
    """Whether a limit is of what a program reports under this name."""
    return limit.name == name and limit.counter.startswith(_SPEND)


def window(per: Per, now: datetime) -> tuple[datetime, datetime]:
    """[start, end) of the window that a moment lies in."""
    match per:
        case Per.HOUR:
            start = now.replace(minute=0, second=0, microsecond=0)
            return start, start + timedelta(hours=1)
        case Per.MONTH:
            start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            return start, (start + timedelta(days=31)).replace(day=1)
        case _:
            start = now.replace(hour=0, minute=0, second=0, microsecond=0)
            return start, start + timedelta(days=1)


def units(amount: float) -> int:
    """An amount in billionths: what is written as 0.1 is a tenth."""
    return int((Decimal(str(amount)) * UNITS).to_integral_value(rounding=ROUND_HALF_EVEN))


def spent(name: object, amount: object) -> int:
    """What a program reports, in units.

    Raises:
        InvalidArgument: It is no name, or no amount.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgument.of("name", f"must match {SPEND_NAME[1:-1]}, not {name!r}")
    number = amount if isinstance(amount, int | float) and not isinstance(amount, bool) else -1
    if not 0 <= number <= MAX_AMOUNT:
        raise InvalidArgument.of("amount", f"must be a number from 0 to {MAX_AMOUNT}, not {amount!r}")
    return units(number)


def plain(used: int, scale: int) -> str:
    """Units as people write them."""
    text = f"{Decimal(used) / scale:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
