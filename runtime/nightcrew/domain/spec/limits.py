"""What an agent may use up in a window of time before it is paused: executions, run time, and what it reports."""

from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from nightcrew.domain.durations import Duration, parse_duration
from nightcrew.domain.spec.base import Spec

MAX_SPEND_LIMITS: Final = 20
MAX_AMOUNT: Final = 1_000_000_000
SPEND_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Per(StrEnum):
    """A window of time, in UTC."""

    UNSPECIFIED = "PER_UNSPECIFIED"
    HOUR = "PER_HOUR"
    DAY = "PER_DAY"
    MONTH = "PER_MONTH"


class SpendLimit(Spec):
    """How much of something an agent may report in a window."""

    name: str = Field(pattern=SPEND_NAME)
    per: Per = Per.UNSPECIFIED
    max: float = Field(gt=0, le=MAX_AMOUNT, allow_inf_nan=False)


class AgentLimits(Spec):
    """A budget guard: past one of them the agent is PAUSED."""

    executions_per_hour: int = Field(default=0, ge=0, le=2**31 - 1)
    run_time_per_day: Duration | None = None
    spend: tuple[SpendLimit, ...] = Field(default=(), max_length=MAX_SPEND_LIMITS)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.run_time_per_day is not None and self.run_time_per_day <= parse_duration(0):
            raise ValueError("run_time_per_day must be longer than 0s; leave it out for no limit")
        seen: set[tuple[str, Per]] = set()
        for one in self.spend:
            key = (one.name, Per.DAY if one.per is Per.UNSPECIFIED else one.per)
            if key in seen:
                raise ValueError(f"spend limits {one.name!r} twice for one window")
            seen.add(key)
        return self
