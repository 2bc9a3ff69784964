"""Schedules on a local clock, cron and civil, with what becomes of readings that are missing or come twice.

Each span of the zone gets a window of readings that count in it (semantics.md, Schedules, DST); everything
else is arithmetic on readings:

- the hour field begins with `*`: exactly the readings that the clock shows;
- a gap opens the span: with SHIFT the window reaches back over the missing readings, and those fire at the
  span's first instant, all together once; with SKIP it does not;
- a fold opens the span: with FIRST the repeated readings are left out of it;
- a fold ends the span: with SECOND they are left out of this one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from nightcrew.domain.schedule.readings import HORIZON_YEARS, Readings
from nightcrew.domain.schedule.spans import FIRST_SECOND, LAST_SECOND, Span, span_at
from nightcrew.domain.spec.trigger import DstFold, DstGap

_MICROS: Final = 1_000_000
_HORIZON: Final = HORIZON_YEARS * 366 * 86_400


@dataclass(frozen=True, slots=True)
class LocalRule:
    """Readings of one zone's clock; `exact` is the `*` hour field's way, to which the settings do not apply."""

    readings: Readings
    zone: ZoneInfo
    gap: DstGap
    fold: DstFold
    exact: bool = False

    def after(self, instant: int) -> int | None:
        """The first nominal time strictly after an instant, in microseconds."""
        at = max(instant // _MICROS + 1, FIRST_SECOND)
        end = min(at + _HORIZON, LAST_SECOND)
        while at <= end:
            span = span_at(self.zone, at)
            low, high = self._window(span)
            found = self.readings.at_or_after(self._first(span, low, at))
            if found is None:
                return None
            if found < high:
                return max(found - span.offset, span.start) * _MICROS
            at = span.end
        return None

    def at_or_before(self, instant: int) -> int | None:
        """The last nominal time up to an instant, in microseconds."""
        at = min(instant // _MICROS, LAST_SECOND)
        end = max(at - _HORIZON, FIRST_SECOND)
        while at >= end:
            span = span_at(self.zone, at)
            low, high = self._window(span)
            found = self.readings.at_or_before(min(high - 1, at + span.offset))
            if found is None:
                return None
            if found >= low:
                return max(found - span.offset, span.start) * _MICROS
            at = span.start - 1
        return None

    def count(self, after: int, until: int) -> int:
        """How many lie in (after, until]; the work grows with the months between, not with the fires."""
        at, last = max(after // _MICROS + 1, FIRST_SECOND), min(until // _MICROS, LAST_SECOND)
        total = 0
        while at <= last:
            span = span_at(self.zone, at)
            low, high = self._window(span)
            first, end = self._first(span, low, at), min(high, last + 1 + span.offset)
            opening = span.start + span.offset
            if first < opening:
                # What shifted to the span's first instant is one fire, together with a reading that is there.
                total += self.readings.count(first, opening + 1) > 0
                first = opening + 1
            total += self.readings.count(first, end)
            at = span.end
        return total

    def note(self, after: int, nominal: int) -> str:
        """What clock changes did to this fire, or to readings between `after` and it."""
        if self.exact:
            return ""
        second = nominal // _MICROS
        span = span_at(self.zone, second)
        if second == span.start and (missing := self._missing(span)) is not None and self.gap is DstGap.SHIFT:
            return f"{_text(missing)} does not exist as clocks go forward; runs at the first instant after it"
        reading = second + span.offset
        if reading < span.start + span.before:
            return f"{_text(reading)} comes twice as clocks go back; this is the second time"
        if reading >= span.end + span.after:
            return f"{_text(reading)} comes twice as clocks go back; this is the first time"
        return self._skipped(max(after // _MICROS, second - _HORIZON, FIRST_SECOND), second)

    def _window(self, span: Span) -> tuple[int, int]:
        """The readings that count in a span, as [low, high)."""
        low, high = span.start + span.offset, span.end + span.offset
        if self.exact or span.before == span.offset == span.after:
            return low, high
        forward, back = span.before < span.offset, span.before > span.offset
        if (forward and self.gap is DstGap.SHIFT) or (back and self.fold is DstFold.FIRST):
            low = span.start + span.before
        if span.after < span.offset and self.fold is DstFold.SECOND:
            high = span.end + span.after
        return low, high

    def _first(self, span: Span, low: int, at: int) -> int:
        """The first reading that may fire at `at` or later."""
        return low if at <= span.start else max(low, at + span.offset)

    def _missing(self, span: Span) -> int | None:
        """The first reading of ours that falls into the gap before a span."""
        if span.before >= span.offset:
            return None
        found = self.readings.at_or_after(span.start + span.before)
        return found if found is not None and found < span.start + span.offset else None

    def _skipped(self, after: int, second: int) -> str:
        if self.gap is DstGap.SHIFT:
            return ""
        at = span_at(self.zone, after).end
        while at <= second:
            span = span_at(self.zone, at)
            if (missing := self._missing(span)) is not None:
                return f"{_text(missing)} does not exist as clocks go forward and was skipped before this one"
            at = span.end
        return ""


def _text(reading: int) -> str:
    moment = datetime(1970, 1, 1) + timedelta(seconds=reading)  # noqa: DTZ001 - a clock's reading has no zone
    return moment.isoformat(sep=" ", timespec="minutes" if not moment.second else "seconds")
