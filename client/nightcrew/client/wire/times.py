"""Instants and lengths of time between Python and protobuf's Timestamp and Duration."""

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nightcrew.client.wire.values import refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")


def from_timestamp(value: Timestamp) -> datetime:
    """An aware datetime in UTC, to the microsecond."""
    return _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)


def from_duration(value: Duration) -> timedelta:
    """A timedelta, to the microsecond."""
    return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)


def to_timestamp(value: datetime | str, field: str) -> Timestamp:
    """A Timestamp of an aware datetime or of RFC 3339 text; `field` is named in an error.

    Raises:
        InvalidRequest: It is no instant, or has no zone.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise refused(
                field, f'must be an RFC 3339 time such as "2026-11-01T09:00:00Z", not {value!r}'
            ) from None
    if not isinstance(value, datetime):
        raise refused(field, f'must be an RFC 3339 time such as "2026-11-01T09:00:00Z", not {value!r}')
    if value.tzinfo is None:
        raise refused(field, f"must have a zone (an offset, or Z for UTC): {value.isoformat()}")
    micros = (value - _EPOCH) // _MICRO
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def to_duration(value: timedelta | float | str, field: str) -> Duration:
    """A Duration of a timedelta, a number of seconds, or protobuf's text for it (`3.5s`).

    Raises:
        InvalidRequest: It is none of these.
    """
    length = to_timedelta(value, field)
    micros = length // _MICRO
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def to_timedelta(value: timedelta | float | str, field: str) -> timedelta:
    """The same as a timedelta."""
    match value:
        case timedelta():
            return value
        case bool():
            pass
        case int() | float():
            try:
                return timedelta(seconds=value)
            except (OverflowError, ValueError):
                pass
        case str() if found := _DURATION.fullmatch(value.strip()):
            sign, whole, fraction = found.groups()
            length = timedelta(seconds=int(whole), microseconds=int((fraction or "").ljust(6, "0")[:6]))
            return -length if sign else length
        case _:
            pass
    raise refused(field, f'must be a duration such as "1.5s", not {value!r}')
