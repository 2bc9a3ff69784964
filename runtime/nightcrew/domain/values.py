"""JSON values as Nightcrew carries them: what is accepted, how it is encoded, and how inputs are merged."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from nightcrew.domain.errors import InvalidArgument

Json: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]
JsonObject: TypeAlias = dict[str, Any]

MAX_VALUE_BYTES = 1024 * 1024
"""Input, result, event data: at most 1 MiB of JSON (semantics.md, An execution's states)."""

MAX_DEPTH: Final = 30
"""Deeper, and no protobuf client could read the value: it stops at 100 messages, an object's level is three."""

_EXACT = 2**53


# One encoder for all: json.dumps makes a new one for each call that is not its default.
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(value: Json) -> str:
    """The compact JSON text of a value; raises ValueError for NaN and infinity, TypeError for no JSON."""
    return _encode(value)


def decode(text: str) -> Any:
    """The value of a JSON text that `encode` made."""
    return json.loads(text)


def checked(value: object, *, field: str, limit: int = MAX_VALUE_BYTES) -> str:
    """The JSON text of a value that came from outside.

    Args:
        value: Anything.
        field: The path to name in the error.
        limit: How many bytes of JSON it may be.

    Raises:
        InvalidArgument: It is no JSON (NaN, infinity, a key that is no string) or too large.
    """
    reason = flaw(value)
    if reason:
        raise InvalidArgument.of(field, reason)
    try:
        text = encode(value)  # type: ignore[arg-type]  # flaw() found it to be JSON
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgument.of(field, "has a key with a lone surrogate; text must be Unicode") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument.of(field, f"must be a JSON value: {error}") from error
    if size > limit:
        raise InvalidArgument.of(field, f"must be at most {limit} bytes of JSON")
    return text


def flaw(value: object, path: str = "") -> str:
    """Why `value` is not JSON, with the path inside it; an empty string when it is."""
    match value:
        case None | bool() | int():
            return ""
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"{path or 'the value'} holds a lone surrogate; text must be Unicode"
            return ""
        case float():
            return (
                ""
                if math.isfinite(value)
                else f"{path or 'the value'} is {value}; JSON has finite numbers only"
            )
        case list() | tuple():
            return next((why for i, item in enumerate(value) if (why := flaw(item, f"{path}[{i}]"))), "")
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    return f"{path or 'the value'} has the key {key!r}; JSON keys are strings"
                if why := flaw(item, f"{path}.{key}" if path else key):
                    return why
            return ""
        case _:
            return (
                f"{path or 'the value'} is of the type {type(value).__name__}; only JSON values are accepted"
            )


def deeper(value: object, limit: int) -> bool:
    """Whether objects and lists are nested more than `limit` deep."""
    if isinstance(value, dict):
        return not limit or any(deeper(item, limit - 1) for item in value.values())
    if isinstance(value, list):
        return not limit or any(deeper(item, limit - 1) for item in value)
    return False


def whole(number: float) -> int | float:
    """A number from a protobuf Value: whole ones within ±2^53 are ints (semantics.md)."""
    return int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number


def merged(*inputs: Mapping[str, Any] | None) -> JsonObject:
    """Inputs merged at the top level, later ones win: the agent's, the trigger's, the call's."""
    out: JsonObject = {}
    for one in inputs:
        if one:
            out.update(one)
    return out
