"""Spans of a time zone: stretches with one offset from UTC, found by asking zoneinfo day by day, once a year.

All numbers are whole seconds since 1970-01-01T00:00:00Z. Two changes of an offset have never been nearer to
each other than a week since 1970, so that one look a day misses none.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_DAY: Final = 86_400
_FIRST_YEAR: Final = 3
_LAST_YEAR: Final = 9996
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _start_of(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


FIRST_SECOND: Final = _start_of(_FIRST_YEAR)
LAST_SECOND: Final = _start_of(_LAST_YEAR + 1) - 1
"""What can be asked about: a year and a month inside what datetime can hold on any clock."""


class Span(NamedTuple):
    """[start, end) in UTC, its offset, and its neighbours' offsets (its own where nothing changes)."""

    start: int
    end: int
    offset: int
    before: int
    after: int


def span_at(zone: ZoneInfo, second: int) -> Span:
    """The span that holds an instant; its changes within a year of the instant are real ones.

    Raises:
        ValueError: The instant is not within [FIRST_SECOND, LAST_SECOND].
    """
    if not FIRST_SECOND <= second <= LAST_SECOND:
        raise ValueError(f"instants must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    year = (_EPOCH + timedelta(seconds=second)).year
    return next(span for span in _spans(zone, year) if span.start <= second < span.end)


@lru_cache(maxsize=4096)
def _spans(zone: ZoneInfo, year: int) -> tuple[Span, ...]:
    """The spans of three years, so that an edge which is no change lies a year away from the one in the middle."""
    edges = [edge for one in (year - 1, year, year + 1) for edge in _changes(zone, one)]
    edges = [_start_of(year - 1), *edges, _start_of(year + 2)]
    offsets = [_offset(zone, edge) for edge in edges[:-1]]
    return tuple(
        Span(start, end, offset, before, after)
        for start, end, offset, before, after in zip(
            edges[:-1],
            edges[1:],
            offsets,
            [offsets[0], *offsets[:-1]],
            [*offsets[1:], offsets[-1]],
            strict=True,
        )
    )


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[int, ...]:
    """The instants within a UTC year at which the offset changes."""
    start, end = _start_of(year), _start_of(year + 1)
    found = []
    # The second before the year is asked too: a change may fall on its very beginning.
    low, before = start - 1, _offset(zone, start - 1)
    for high in (*range(start + _DAY - 1, end, _DAY), end - 1):
        after = _offset(zone, high)
        if after != before:
            found.append(_change(zone, low, high))
        low, before = high, after
    return tuple(found)


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first instant after `low` with the offset of `high`."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, second: int) -> int:
    found = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    return 0 if found is None else found // timedelta(seconds=1)
