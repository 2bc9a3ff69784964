"""Messages as JSON objects with snake_case names: what specs and manifests are made of.

Like protobuf's own JSON, but for what people need of it: 64-bit integers and whole numbers are ints, and a
fault names its field and what would be right, all faults at once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nightcrew.client.models.json_form import format_duration, format_instant
from nightcrew.client.wire.times import from_duration, from_timestamp
from nightcrew.client.wire.values import from_struct, from_value, whole

_WELL_KNOWN: Mapping[str, Callable[[Any], Any]] = {
    "google.protobuf.Struct": from_struct,
    "google.protobuf.Value": from_value,
    "google.protobuf.Duration": lambda value: format_duration(from_duration(value)),
    "google.protobuf.Timestamp": lambda value: format_instant(from_timestamp(value)),
}


def to_dict(message: Message) -> dict[str, Any]:
    """The fields that are set, by their names in the proto file."""
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field holds many; `label` is deprecated, and `is_repeated` is not in every protobuf we load with."""
    return isinstance(field.default_value, list)


def map_value(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of a map's values; None when the field is no map."""
    kind = field.message_type
    if kind is None or not kind.GetOptions().map_entry:
        return None
    return kind.fields_by_name["value"]


def _field(field: FieldDescriptor, value: Any) -> Any:
    if not is_repeated(field):
        return _single(field, value)
    of_map = map_value(field)
    if of_map is not None:
        return {key: _single(of_map, one) for key, one in value.items()}
    return [_single(field, one) for one in value]


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        known = _WELL_KNOWN.get(field.message_type.full_name)
        return known(value) if known else to_dict(value)
    if field.enum_type is not None:
        known_number = field.enum_type.values_by_number.get(value)
        return known_number.name if known_number else value
    return whole(value) if isinstance(value, float) else value
