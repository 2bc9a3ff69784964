"""Any message of a spec as a JSON object with the contract's own field names, faults named with their paths."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from nightcrew.domain.errors import InvalidArgument, join_path
from nightcrew.gateway.grpc.convert.times import duration_of, time_of
from nightcrew.gateway.grpc.convert.values import object_of

_WELL_KNOWN: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "google.protobuf.Struct": object_of,
    "google.protobuf.Duration": duration_of,
    "google.protobuf.Timestamp": time_of,
}


def json_of(message: Message, path: str = "", *, only: Collection[str] | None = None) -> dict[str, Any]:
    """The fields that are set (of `only`, if it is given), by their names in the contract.

    It differs from protobuf's MessageToDict: a fault names its field, whole numbers are ints only where a double
    is exact, an enum's unknown number is refused, and durations and instants are Python's own.

    Raises:
        InvalidArgument: A number is not finite, a time out of range, an enum's number unknown.
    """
    return {
        field.name: _field(field, value, join_path(path, field.name))
        for field, value in message.ListFields()
        if only is None or field.name in only
    }


def _field(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)  # the spec's maps are all of texts
    if field.is_repeated:
        return [_single(field, item, f"{path}[{index}]") for index, item in enumerate(value)]
    return _single(field, value, path)


def _single(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.enum_type is not None:
        return enum_name(field.enum_type, value, path)
    if field.message_type is None:
        return value
    known = _WELL_KNOWN.get(field.message_type.full_name)
    return json_of(value, path) if known is None else known(value, path)


def enum_name(enum: EnumDescriptor, number: int, path: str) -> str:
    """The name of an enum's number.

    Raises:
        InvalidArgument: It has none.
    """
    found = enum.values_by_number.get(number)
    if found is None:
        names = ", ".join(one.name for one in enum.values)
        raise InvalidArgument.of(path, f"must be one of {names}, not the number {number}")
    return str(found.name)
