"""Pools as nightcrew.toml has them: what agents share, so many at once, so many a minute."""

import re
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from nightcrew.domain.pool import Pool
from nightcrew.domain.spec.base import Spec

_RATE: Final = re.compile(r"(\d{1,9})\s*/\s*(second|minute|hour|day|s|min|h|d)", re.ASCII)
_SECONDS: Final = {
    "s": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
}
_MICROS: Final = 1_000_000
MAX_A_SECOND: Final = 10_000
SMOOTH: Final = 100_000
"""Microseconds whose starts may come at once unless a burst is said: timers are not exact."""


class PoolSpec(Spec):
    """One table [pools.NAME].

    Attributes:
        rate: How many executions may start, such as `60/minute`; evenly spaced. Empty is no rate.
        concurrency: How many may run at once; 0 is no bound.
        burst: How many may start at once after a rest; by default 1, or what the rate gives in a tenth of a second.
    """

    rate: str = ""
    concurrency: int = Field(default=0, ge=0, le=1_000_000)
    burst: int = Field(default=0, ge=0, le=1_000_000)

    @field_validator("rate")
    @classmethod
    def _readable(cls, rate: str) -> str:
        if rate:
            _interval(rate)
        return rate

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not self.rate and not self.concurrency:
            raise ValueError(
                "needs a rate, a concurrency of at least 1, or both; without them it bounds nothing"
            )
        if self.burst and not self.rate:
            raise ValueError("burst needs a rate")
        return self

    def pool(self, name: str) -> Pool:
        """The pool, its defaults resolved."""
        interval = _interval(self.rate) if self.rate else 0
        burst = self.burst or (max(1, SMOOTH // interval) if interval else 1)
        return Pool(name=name, concurrency=self.concurrency, interval=interval, burst=burst)


def _interval(rate: str) -> int:
    """Microseconds between starts, rounded up; ValueError says what would be right."""
    found = _RATE.fullmatch(rate.strip())
    count = int(found[1]) if found else 0
    if found is None or not count:
        raise ValueError(
            f"must be a number of at least 1 a second, minute, hour or day: 60/minute, not {rate[:80]!r}"
        )
    seconds = _SECONDS[found[2]]
    if count > seconds * MAX_A_SECOND:
        raise ValueError(f"may be at most {MAX_A_SECOND}/second, not {rate}")
    return -(-seconds * _MICROS // count)
