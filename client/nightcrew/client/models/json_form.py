"""Models as JSON values, named and written as protobuf's JSON does, with snake_case names and plain integers."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from nightcrew.client.errors import NightcrewClientError

_MICRO = timedelta(microseconds=1)


def as_json(value: Any) -> Any:
    """A model, or anything made of models, as a JSON value.

    Fields that are None are left out; every other field is there, so that scripts find it.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return format_instant(value)
        case timedelta():
            return format_duration(value)
        case Mapping():
            return {str(key): as_json(one) for key, one in value.items()}
        case list() | tuple():
            return [as_json(one) for one in value]
        case NightcrewClientError():
            return _error(value)
        case _ if is_dataclass(value):
            found = ((one.name, getattr(value, one.name)) for one in fields(value))
            return {name: as_json(one) for name, one in found if one is not None}
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def format_instant(value: datetime) -> str:
    """RFC 3339 in UTC with a `Z`."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def format_duration(value: timedelta) -> str:
    """`3.5s`, exact to the microsecond."""
    micros = value // _MICRO
    seconds, rest = divmod(abs(micros), 1_000_000)
    text = f"{seconds}.{rest:06d}".rstrip("0").rstrip(".")
    return f"{'-' if micros < 0 else ''}{text}s"


def _error(error: NightcrewClientError) -> dict[str, Any]:
    return {
        "code": error.code,
        "reason": error.reason,
        "message": error.message,
        "metadata": dict(error.metadata),
        "field_violations": [as_json(one) for one in error.field_violations],
    }
