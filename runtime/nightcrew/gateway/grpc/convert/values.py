"""google.protobuf Struct and Value, to and from JSON values; made for speed, since every call may carry one."""

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.values import decode, flaw, whole


class _NotFinite(Exception):  # noqa: N818 - a signal to look again, slowly, for the path
    """A number is NaN or infinite."""


def object_of(struct: Struct, field: str) -> dict[str, Any]:
    """The JSON object of a Struct; whole numbers within ±2^53 are ints.

    Raises:
        InvalidArgument: A number is NaN or infinite; names its path under `field`.
    """
    try:
        return {key: _plain(value) for key, value in struct.fields.items()}
    except _NotFinite:
        raise _not_finite(_loose_object(struct), field) from None


def value_of(value: Value, field: str) -> Any:
    """The JSON value of a Value; one that is not set is null.

    Raises:
        InvalidArgument: A number is NaN or infinite; names its path under `field`.
    """
    try:
        return _plain(value)
    except _NotFinite:
        raise _not_finite(_loose(value), field) from None


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            raise _NotFinite
        return whole(number)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return {key: _plain(item) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None


def _loose(value: Value) -> Any:
    """The value with its NaNs: what is needed to say where they are."""
    match value.WhichOneof("kind"):
        case "number_value":
            return value.number_value
        case "struct_value":
            return _loose_object(value.struct_value)
        case "list_value":
            return [_loose(item) for item in value.list_value.values]
        case _:
            return None


def _loose_object(struct: Struct) -> dict[str, Any]:
    return {key: _loose(item) for key, item in struct.fields.items()}


def _not_finite(value: object, field: str) -> InvalidArgument:
    where, _, what = flaw(value).partition(" is ")
    path = (
        field if where == "the value" else f"{field}.{where}" if not where.startswith("[") else field + where
    )
    return InvalidArgument.of(path, f"is {what}")


def fill_struct(struct: Struct, data: Mapping[str, Any]) -> None:
    """Writes a JSON object into an empty Struct."""
    fields = struct.fields
    for key, item in data.items():
        fill_value(fields[key], item)


def fill_value(value: Value, data: Any) -> None:
    """Writes a JSON value into an empty Value."""
    if isinstance(data, str):
        value.string_value = data
    elif data is None:
        value.null_value = 0  # type: ignore[assignment]  # NullValue's only number
    elif data is True or data is False:
        value.bool_value = data
    elif isinstance(data, int | float):
        _fill_number(value, data)
    elif isinstance(data, Mapping):
        value.struct_value.SetInParent()
        fill_struct(value.struct_value, data)
    else:
        items = value.list_value
        items.SetInParent()
        for item in data:
            fill_value(items.values.add(), item)


def _fill_number(value: Value, number: float) -> None:
    try:
        value.number_value = number
    except OverflowError:
        # Past 1.8e308 a Value has no number; its digits are better than an error in place of the answer.
        value.string_value = str(number)


def fill_struct_text(struct: Struct, text: str) -> None:
    """Writes the JSON text of an object into an empty Struct."""
    if text != "{}":
        fill_struct(struct, decode(text))


def fill_value_text(value: Value, text: str) -> None:
    """Writes a JSON text into an empty Value."""
    fill_value(value, decode(text))
