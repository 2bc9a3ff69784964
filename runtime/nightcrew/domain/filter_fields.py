"""What a filter may name: the kinds of fields, the operators each knows, and how values are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from nightcrew.domain.durations import parse_instant

EQUALITY: Final = ("=", "!=", ":")
ORDERING: Final = (*EQUALITY, "<", "<=", ">", ">=")
ANY_KEY: Final = ".*"
"""The end of a field name that stands for any key of a map, as in `labels.*`."""

_INT64: Final = 2**63


class Kind(Enum):
    """The sort of value a field holds."""

    STRING = auto()
    ENUM = auto()
    INTEGER = auto()
    TIME = auto()
    BOOL = auto()


@dataclass(frozen=True, slots=True)
class FieldKind:
    """The kind of one field; `values` are an enum's names."""

    kind: Kind
    values: tuple[str, ...] = ()

    @property
    def operators(self) -> tuple[str, ...]:
        """Enums and bools have no order."""
        return EQUALITY if self.kind in {Kind.ENUM, Kind.BOOL} else ORDERING


STRING: Final = FieldKind(Kind.STRING)
INTEGER: Final = FieldKind(Kind.INTEGER)
TIME: Final = FieldKind(Kind.TIME)
BOOL: Final = FieldKind(Kind.BOOL)


def enum_of(values: Iterable[str]) -> FieldKind:
    """The kind of a field that holds one of these names; a StrEnum class can be given as it is."""
    return FieldKind(Kind.ENUM, tuple(str(value) for value in values))


def kind_of(name: str, fields: Mapping[str, FieldKind]) -> FieldKind | None:
    """The kind of a field, a key of a map (`labels.team`) included; None when there is no such field."""
    if found := fields.get(name):
        return None if name.endswith(ANY_KEY) else found
    head, dot, key = name.partition(".")
    return fields.get(head + ANY_KEY) if dot and key else None


def is_map(name: str, fields: Mapping[str, FieldKind]) -> bool:
    """Whether it is a map as a whole (`labels`)."""
    return name + ANY_KEY in fields


def convert(kind: FieldKind, text: str) -> object:
    """The value that a text stands for; ValueError says what would be right."""
    match kind.kind:
        case Kind.STRING:
            return text
        case Kind.ENUM:
            if text not in kind.values:
                raise ValueError(f"the value must be one of {', '.join(kind.values)}, not {text[:80]!r}")
            return text
        case Kind.INTEGER:
            return _integer(text)
        case Kind.TIME:
            return _time(text)
        case Kind.BOOL:
            if text not in {"true", "false"}:
                raise ValueError(f"the value must be true or false, not {text[:80]!r}")
            return text == "true"


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    # isdecimal() takes other scripts' digits too; the length keeps int() off endless ones.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_INT64))):
        raise ValueError(f"the value must be a whole number, not {text[:80]!r}")
    number = int(text)
    if not -_INT64 <= number < _INT64:
        raise ValueError("the value must be a whole number of 64 bits")
    return number


def _time(text: str) -> object:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise ValueError(f"the value {error}") from None
    except OverflowError:
        raise ValueError(f"the value must lie in the years 1 to 9999, not {text[:80]!r}") from None
