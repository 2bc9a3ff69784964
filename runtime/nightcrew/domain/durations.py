"""Durations and instants as protobuf's JSON writes them (`3.5s`, RFC 3339) and as people type them (`1h30m`)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|[smhdw])", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(value: Any) -> timedelta:
    """A timedelta from `"3.5s"`, a number of seconds or a timedelta; ValueError says what would be right.

    Nanoseconds are cut to microseconds, the resolution of the store.
    """
    match value:
        case timedelta():
            return value
        case bool():
            raise ValueError('must be a duration such as "1.5s"')
        case int() | float():
            return timedelta(seconds=value)
        case str() if found := _DURATION.fullmatch(value):
            sign, seconds, fraction = found.groups()
            micros = int((fraction or "").ljust(6, "0")[:6])
            length = timedelta(seconds=int(seconds), microseconds=micros)
            return -length if sign else length
        case _:
            raise ValueError(f'must be a duration such as "1.5s", not {value!r}')


def format_duration(value: timedelta) -> str:
    """`3.5s` from a timedelta; exact to the microsecond."""
    micros = value // _MICRO
    sign = "-" if micros < 0 else ""
    seconds, rest = divmod(abs(micros), 1_000_000)
    return f"{sign}{seconds}.{rest:06d}".rstrip("0").rstrip(".") + "s" if rest else f"{sign}{seconds}s"


def parse_typed(text: str) -> timedelta:
    """A length as people type it: `10s`, `500ms`, `1h30m`, `2d`; ValueError says what would be right."""
    if _WHOLE.fullmatch(text.strip()):
        try:
            return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta())
        except OverflowError:
            pass
    raise ValueError(f"{text[:80]!r} is no duration; write 10s, 5m, 2h or 1h30m")


def parse_instant(value: Any) -> datetime:
    """An aware UTC datetime from RFC 3339 text or an aware datetime; ValueError says what would be right."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f'must be an RFC 3339 time such as "2026-11-01T09:00:00Z", not {value!r}'
            ) from None
    if not isinstance(value, datetime):
        raise ValueError(f'must be an RFC 3339 time such as "2026-11-01T09:00:00Z", not {value!r}')
    if value.tzinfo is None:
        raise ValueError(f"must have a zone (an offset, or Z for UTC): {value.isoformat()}")
    return value.astimezone(UTC)


def format_instant(value: datetime) -> str:
    """RFC 3339 in UTC with a `Z`, to the microsecond where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_micros(value: datetime) -> int:
    """Microseconds since 1970, the store's form of an instant."""
    return (value - EPOCH) // _MICRO


def from_micros(micros: int) -> datetime:
    """The instant of a number of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Instant = Annotated[datetime, BeforeValidator(parse_instant), PlainSerializer(format_instant)]
