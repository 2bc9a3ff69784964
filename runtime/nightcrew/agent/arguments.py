"""How a builder's arguments become spec models: enums by their short names, errors that name the argument."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from nightcrew.domain.durations import parse_duration
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.base import Spec, invalid

E = TypeVar("E", bound=StrEnum)
S = TypeVar("S", bound=Spec)

Span: TypeAlias = float | str | timedelta
"""A length of time: seconds, a timedelta, or text such as "1.5s"."""


def choice(value: str | E | None, kind: type[E], *, field: str) -> E:
    """The enum's member of a short name (`"skip"`, `"buffer_one"`) or of a member itself; None is unset.

    Raises:
        InvalidArgument: No such member; lists those there are.
    """
    members = list(kind)
    unset = members[0]
    if value is None:
        return unset
    prefix = unset.value.removesuffix("UNSPECIFIED")
    short = {member.value.removeprefix(prefix).lower(): member for member in members[1:]}
    found = value if isinstance(value, kind) else short.get(str(value).lower())
    if found is None:
        raise InvalidArgument.of(field, f"must be one of {', '.join(short)}, not {value!r}")
    return found


def span(value: Span | None, *, field: str) -> timedelta | None:
    """A timedelta from what authors write.

    Raises:
        InvalidArgument: It is no duration.
    """
    if value is None:
        return None
    try:
        return parse_duration(value)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument.of(field, f"{error}; seconds or a timedelta are right") from error


def build(model: type[S], values: Mapping[str, Any], *, names: Mapping[str, str] | None = None) -> S:
    """The model of these values, those that are None left out.

    Args:
        model: The spec model.
        values: Field → value.
        names: Field → the argument's name that the author knows, where they differ.

    Raises:
        InvalidArgument: Names the author's argument, not the model's field.
    """
    try:
        return model(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise renamed(invalid(error), names or {}) from error


def renamed(error: InvalidArgument, names: Mapping[str, str]) -> InvalidArgument:
    """The same error, its fields under the names that the author knows."""
    if not names:
        return error
    moved = [(_rename(one.field, names), one.description) for one in error.violations]
    return InvalidArgument(
        "; ".join(f"{field}: {text}" if field else text for field, text in moved),
        violations=[
            type(one)(field, text) for one, (field, text) in zip(error.violations, moved, strict=True)
        ],
    )


def _rename(field: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if field == old or field.startswith((old + ".", old + "[")):
            return new + field[len(old) :]
    return field
