"""What every kind of schedule can answer, and the two that need no local clock: interval and date."""

from dataclasses import dataclass
from typing import Protocol


class Rule(Protocol):
    """Nominal times as microseconds since 1970, whatever window a schedule puts round them."""

    def after(self, instant: int) -> int | None:
        """The first one strictly after an instant; None when there is none within the horizon."""

    def at_or_before(self, instant: int) -> int | None:
        """The last one up to an instant; None when there is none within the horizon."""

    def count(self, after: int, until: int) -> int:
        """How many lie in (after, until], without visiting each."""

    def note(self, after: int, nominal: int) -> str:
        """What clock changes did to this one, or to those between `after` and it; empty if nothing."""


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """`epoch + n × every + phase`, in microseconds."""

    every: int
    phase: int

    def after(self, instant: int) -> int | None:
        """The first one strictly after an instant."""
        return ((instant - self.phase) // self.every + 1) * self.every + self.phase

    def at_or_before(self, instant: int) -> int | None:
        """The last one up to an instant."""
        return (instant - self.phase) // self.every * self.every + self.phase

    def count(self, after: int, until: int) -> int:
        """How many lie in (after, until]."""
        return max(0, (until - self.phase) // self.every - (after - self.phase) // self.every)

    def note(self, after: int, nominal: int) -> str:  # noqa: ARG002 - the port's; no clock change reaches it
        """Nothing: intervals are lengths of real time."""
        return ""


@dataclass(frozen=True, slots=True)
class DateRule:
    """Once."""

    time: int

    def after(self, instant: int) -> int | None:
        """The instant itself while it lies ahead."""
        return self.time if self.time > instant else None

    def at_or_before(self, instant: int) -> int | None:
        """The instant itself once it is reached."""
        return self.time if self.time <= instant else None

    def count(self, after: int, until: int) -> int:
        """0 or 1."""
        return int(after < self.time <= until)

    def note(self, after: int, nominal: int) -> str:  # noqa: ARG002 - the port's; no clock change reaches it
        """Nothing: it is an instant."""
        return ""
