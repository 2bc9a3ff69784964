"""JSON values between Python and protobuf's Struct and Value; whole numbers stay ints."""

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from nightcrew.client.errors import FieldViolation, InvalidRequest

_EXACT = 2**53


def whole(number: float) -> int | float:
    """A number off the wire: whole ones within ±2^53 are ints, as the program that wrote them meant."""
    return int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number


def from_value(value: Value) -> Any:
    """The JSON value of a Value; one that is not set is None."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return whole(value.number_value)
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [from_value(one) for one in value.list_value.values]
        case "bool_value":
            return value.bool_value
        case _:
            return None


def from_struct(struct: Struct) -> dict[str, Any]:
    """The JSON object of a Struct."""
    return {key: from_value(value) for key, value in struct.fields.items()}


def fill_struct(struct: Struct, value: Mapping[str, Any], path: str) -> None:
    """Writes a JSON object into a Struct; `path` is the field to name in an error.

    Raises:
        InvalidRequest: It holds something that JSON, or a double, cannot carry.
    """
    fields = struct.fields
    for key, one in value.items():
        if not isinstance(key, str):
            raise refused(path, f"has the key {key!r}; JSON keys are strings")
        fill_value(fields[key], one, path, key)


def fill_value(target: Value, value: Any, path: str, step: str | int | None = None) -> None:
    """Writes a JSON value into a Value; `path` and `step` make the field to name in an error."""
    match value:
        case None:
            target.null_value = 0  # type: ignore[assignment]  # the enum's only value
        case str():
            _checked_text(value, path, step)
            target.string_value = value
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = _checked_number(value, path, step)
        case Mapping():
            target.struct_value.SetInParent()
            fill_struct(target.struct_value, value, _join(path, step))
        case list() | tuple():
            target.list_value.SetInParent()
            _fill_list(target.list_value, value, _join(path, step))
        case _:
            what = f"is of the type {type(value).__name__}; only JSON values are accepted"
            raise refused(_join(path, step), what)


def refused(field: str, description: str) -> InvalidRequest:
    """The error for one field that is wrong; nothing was sent."""
    violation = FieldViolation(field, description)
    return InvalidRequest(f"{field}: {description}", reason="invalid_argument", field_violations=[violation])


def _fill_list(target: ListValue, values: list[Any] | tuple[Any, ...], path: str) -> None:
    for index, one in enumerate(values):
        fill_value(target.values.add(), one, path, index)


def _checked_number(value: float, path: str, step: str | int | None) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refused(_join(path, step), "is no finite number; JSON has finite numbers only")
    if isinstance(value, int) and int(number) != value:
        what = f"{value} cannot be carried exactly (numbers travel as doubles); send it as a text"
        raise refused(_join(path, step), what)
    return number


def _checked_text(value: str, path: str, step: str | int | None) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise refused(_join(path, step), "holds a lone surrogate; text must be Unicode") from None


def _join(path: str, step: str | int | None) -> str:
    match step:
        case None:
            return path
        case int():
            return f"{path}[{step}]"
        case _:
            return f"{path}.{step}"
