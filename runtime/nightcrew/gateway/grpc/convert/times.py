"""google.protobuf Timestamp and Duration, to and from datetime and timedelta, to the microsecond."""

from datetime import datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nightcrew.domain.durations import EPOCH, to_micros
from nightcrew.domain.errors import InvalidArgument

_MICROS: Final = 1_000_000
_NANOS: Final = 1_000_000_000
# 0001-01-01T00:00:00Z and 10000-01-01T00:00:00Z, the bounds of RFC 3339 and of datetime.
_FIRST: Final = -62_135_596_800
_BEYOND: Final = 253_402_300_800
# google.protobuf.Duration's own bound: 10,000 years.
_LONGEST: Final = 315_576_000_000


def fill_time(timestamp: Timestamp, instant: datetime) -> None:
    """Writes an instant into a Timestamp."""
    seconds, micros = divmod(to_micros(instant), _MICROS)
    timestamp.seconds = seconds
    timestamp.nanos = micros * 1000


def time_of(timestamp: Timestamp, field: str) -> datetime:
    """The instant of a Timestamp; nanoseconds are cut to microseconds.

    Raises:
        InvalidArgument: It lies outside of the years 1 to 9999, or its nanoseconds are wrong.
    """
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not (_FIRST <= seconds < _BEYOND and 0 <= nanos < _NANOS):
        raise InvalidArgument.of(field, "must lie in the years 1 to 9999, with nanos from 0 to 999,999,999")
    return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def duration_of(duration: Duration, field: str) -> timedelta:
    """The length of a Duration; nanoseconds are cut to microseconds.

    Raises:
        InvalidArgument: It is longer than 10,000 years, or its parts have different signs.
    """
    seconds, nanos = duration.seconds, duration.nanos
    if abs(seconds) > _LONGEST or abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise InvalidArgument.of(
            field, "must be at most 315,576,000,000 s, with nanos under 1e9 and of the sign of seconds"
        )
    micros = seconds * _MICROS + (nanos // 1000 if nanos >= 0 else -(-nanos // 1000))
    return timedelta(microseconds=micros)
