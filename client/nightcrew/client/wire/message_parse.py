"""JSON objects into messages: every fault is collected, named by its field's path with what would be right."""

import difflib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from nightcrew.client.errors import FieldViolation, InvalidRequest
from nightcrew.client.wire.message_json import is_repeated, map_value
from nightcrew.client.wire.times import to_duration, to_timestamp
from nightcrew.client.wire.values import fill_struct, fill_value

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def fill(message: Message, value: Any, path: str = "") -> None:
    """Writes a JSON object into a message.

    Args:
        message: An empty message.
        value: The object; names in snake_case or camelCase, a None is a field that is not set.
        path: What the fields' paths in errors begin with.

    Raises:
        InvalidRequest: With a violation for each field that is wrong; nothing was sent.
    """
    faults: list[FieldViolation] = []
    _Filler(faults).message(message, value, path)
    if faults:
        text = "; ".join(f"{one.field}: {one.description}" for one in faults)
        raise InvalidRequest(text, reason="invalid_argument", field_violations=faults)


class _Filler:
    """Walks value and descriptor together; a fault is noted, and the walk goes on beside it."""

    def __init__(self, faults: list[FieldViolation]) -> None:
        self._faults = faults

    def message(self, message: Message, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            self._fault(path or "the value", f"must be an object, not {_shown(value)}")
            return
        seen: dict[str, str] = {}
        for name, one in value.items():
            field = _field_of(message.DESCRIPTOR, name)
            here = f"{path}.{name}" if path else str(name)
            if field is None:
                self._fault(here, _unknown(name, message.DESCRIPTOR))
            elif one is not None and self._first_of_its_oneof(field, seen, here):
                self._field(message, field, one, here)

    def _first_of_its_oneof(self, field: FieldDescriptor, seen: dict[str, str], path: str) -> bool:
        group = field.containing_oneof
        if group is None:
            return True
        other = seen.setdefault(group.name, field.name)
        if other == field.name:
            return True
        self._fault(path, f"only one of its kinds may be given, and {other} is")
        return False

    def _field(self, message: Message, field: FieldDescriptor, value: Any, path: str) -> None:
        of_map = map_value(field)
        if of_map is not None:
            self._map(getattr(message, field.name), of_map, value, path)
        elif is_repeated(field):
            self._list(getattr(message, field.name), field, value, path)
        elif field.message_type is not None:
            target = getattr(message, field.name)
            target.SetInParent()
            self._nested(target, value, path)
        else:
            scalar = self._scalar(field, value, path)
            if scalar is not None:
                setattr(message, field.name, scalar)

    def _map(self, target: Any, field: FieldDescriptor, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            self._fault(path, f"must be an object, not {_shown(value)}")
            return
        for key, one in value.items():
            here = f"{path}.{key}"
            if not isinstance(key, str):
                self._fault(here, "keys must be texts; put it in quotes")
                continue
            scalar = self._scalar(field, one, here)
            if scalar is not None:
                target[key] = scalar

    def _list(self, target: Any, field: FieldDescriptor, value: Any, path: str) -> None:
        if not isinstance(value, list | tuple):
            self._fault(path, f"must be a list, not {_shown(value)}")
            return
        for index, one in enumerate(value):
            here = f"{path}[{index}]"
            if field.message_type is not None:
                self._nested(target.add(), one, here)
                continue
            scalar = self._scalar(field, one, here)
            if scalar is not None:
                target.append(scalar)

    def _nested(self, target: Any, value: Any, path: str) -> None:
        try:
            match target.DESCRIPTOR.full_name:
                case "google.protobuf.Struct" if isinstance(value, Mapping):
                    fill_struct(target, value, path)
                case "google.protobuf.Value":
                    fill_value(target, value, path)
                case "google.protobuf.Duration":
                    target.CopyFrom(to_duration(_only(value, str, timedelta), path))
                case "google.protobuf.Timestamp":
                    target.CopyFrom(to_timestamp(_only(value, str, datetime), path))
                case _:
                    self.message(target, value, path)
        except InvalidRequest as error:
            self._faults.extend(error.field_violations)

    def _scalar(self, field: FieldDescriptor, value: Any, path: str) -> Any:
        """The value as the field takes it; None after a fault."""
        if field.enum_type is not None:
            return self._enum(field.enum_type, value, path)
        kind = field.cpp_type
        if kind in _INTEGERS:
            return self._integer(kind, value, path)
        match value:
            case str() if kind == FieldDescriptor.CPPTYPE_STRING:
                return value
            case bool() if kind == FieldDescriptor.CPPTYPE_BOOL:
                return value
            case bool():
                pass
            case int() | float() if kind == FieldDescriptor.CPPTYPE_DOUBLE:
                return float(value)
            case _:
                pass
        self._fault(path, f"must be {_NAMES[kind]}, not {_shown(value)}{_hint(kind, value)}")
        return None

    def _integer(self, kind: int, value: Any, path: str) -> int | None:
        low, high = _INTEGERS[kind]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._fault(path, f"must be a whole number, not {_shown(value)}")
        elif not low <= value <= high:
            self._fault(path, f"must be from {low} to {high}, not {value}")
        else:
            return value
        return None

    def _enum(self, kind: EnumDescriptor, value: Any, path: str) -> int | None:
        found = kind.values_by_name.get(value) if isinstance(value, str) else None
        if found is None:
            names = ", ".join(one.name for one in kind.values if one.number)
            self._fault(path, f"must be one of {names}, not {_shown(value)}")
            return None
        return found.number

    def _fault(self, path: str, description: str) -> None:
        self._faults.append(FieldViolation(path, description))


_NAMES = {
    FieldDescriptor.CPPTYPE_STRING: "a text",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
}


def _field_of(kind: Any, name: Any) -> FieldDescriptor | None:
    return (
        kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
        if isinstance(name, str)
        else None
    )


def _unknown(name: Any, kind: Any) -> str:
    known = [field.name for field in kind.fields]
    close = difflib.get_close_matches(str(name), known, n=1)
    return (
        f"there is no such field; did you mean {close[0]}?"
        if close
        else f"there is no such field; there are {', '.join(known)}"
    )


def _only(value: Any, *kinds: type) -> Any:
    """The value if it is of these kinds; else its repr, which no parser takes and every error shows."""
    return value if isinstance(value, kinds) else repr(value)


def _shown(value: Any) -> str:
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case _:
            return repr(value)


def _hint(kind: int, value: Any) -> str:
    return (
        "; put it in quotes"
        if kind == FieldDescriptor.CPPTYPE_STRING and isinstance(value, int | float)
        else ""
    )
