"""A schedule compiled: its nominal times within its window, when each is due, and how many there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from nightcrew.domain.durations import EPOCH, from_micros, to_micros
from nightcrew.domain.schedule.rule import Rule
from nightcrew.domain.spec.trigger import CatchUpMode

_FIRST: Final = to_micros(datetime.min.replace(tzinfo=EPOCH.tzinfo))
_LAST: Final = to_micros(datetime.max.replace(tzinfo=EPOCH.tzinfo))
_HASH_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `compile_schedule` makes of a Schedule. Instants are aware; those given back are UTC.

    Attributes:
        rule: The nominal times without the window.
        start: `start_time` in microseconds since 1970, inclusive.
        end: `end_time`, exclusive.
        jitter: Microseconds.
        catch_up: Never UNSPECIFIED.
        window: How far back catch-up reaches.
        max_fires: 0 is no bound; the caller counts.
    """

    rule: Rule
    start: int = _FIRST
    end: int = _LAST
    jitter: int = 0
    catch_up: CatchUpMode = CatchUpMode.LATEST
    window: timedelta = timedelta(days=365)
    max_fires: int = 0

    def next_after(self, instant: datetime) -> datetime | None:
        """The first nominal time strictly after an instant; None when there is none any more."""
        found = self._after(to_micros(instant))
        return None if found is None else from_micros(found)

    def latest_at_or_before(self, instant: datetime) -> datetime | None:
        """The last nominal time up to an instant, that one included; None when there was none yet."""
        at = min(to_micros(instant), self.end - 1)
        found = self.rule.at_or_before(at) if at >= self.start else None
        return None if found is None or found < self.start else from_micros(found)

    def count(self, after: datetime, until: datetime) -> int:
        """How many nominal times lie in (after, until]; intervals and cron do it without visiting each."""
        first, last = max(to_micros(after), self.start - 1), min(to_micros(until), self.end - 1)
        return self.rule.count(first, last) if first < last else 0

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The nominal times in (after, until], in order."""
        at: datetime | None = after
        while at is not None and (at := self.next_after(at)) is not None and at <= until:
            yield at

    def due_time(self, nominal: datetime, agent_id: str, trigger_id: str) -> datetime:
        """When a nominal time is due: the same on every computation, and never past the next nominal time."""
        if not self.jitter:
            return nominal
        at = to_micros(nominal)
        following = self._after(at)
        room = self.jitter if following is None else min(self.jitter, following - at)
        key = f"{agent_id}\0{trigger_id}\0{at}".encode()
        part = int.from_bytes(blake2b(key, digest_size=_HASH_BITS // 8).digest())
        return from_micros(min(at + (part * room >> _HASH_BITS), _LAST))

    def spent(self, fires: int) -> bool:
        """Whether so many fires are all that `max_fires` allows: no time comes any more."""
        return bool(self.max_fires) and fires >= self.max_fires

    def note(self, after: datetime, nominal: datetime) -> str:
        """What clock changes did to a nominal time, or to those between `after` and it; empty if nothing."""
        return self.rule.note(to_micros(after), to_micros(nominal))

    def _after(self, instant: int) -> int | None:
        found = self.rule.after(max(instant, self.start - 1))
        return None if found is None or found >= self.end else found
