"""The ground of the spec's models: frozen, strict about names, and errors that carry field paths."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from nightcrew.domain.errors import FieldViolation, InvalidArgument, join_path


class Spec(BaseModel):
    """A frozen model whose JSON is protobuf's JSON: snake_case or lowerCamelCase in, snake_case out."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        loc_by_alias=False,
        hide_input_in_errors=True,
    )

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, field: str = "") -> Self:
        """The model of a JSON object.

        Args:
            data: The object.
            field: The path of the object itself, put before every field named in the error.

        Raises:
            InvalidArgument: Names every field that is wrong and what would be right.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise invalid(error, field) from error

    def to_json(self) -> dict[str, Any]:
        """The JSON object, unset fields left out, so that what was written comes back."""
        return self.model_dump(mode="json", exclude_unset=False, exclude_none=True, exclude_defaults=True)


def invalid(error: ValidationError, field: str = "") -> InvalidArgument:
    """A pydantic error in our own words, with protobuf's field paths."""
    found = [
        FieldViolation(join_path(field, path(item["loc"])), _said(item["type"], item["msg"]))
        for item in error.errors(include_url=False, include_input=False)
    ]
    return InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def path(location: Sequence[str | int]) -> str:
    """`triggers[2].schedule` from ("triggers", 2, "schedule")."""
    out = ""
    for part in location:
        out = join_path(out, f"[{part}]" if isinstance(part, int) else part)
    return out


def _said(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a field; look for a misspelling"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")


def exactly_one(model: Spec, names: Sequence[str], what: str) -> str:
    """The name of the one field of a oneof that is set; ValueError when none or several are."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        raise ValueError(
            f"{what} must be exactly one of {', '.join(names)}; given: {', '.join(given) or 'none'}"
        )
    return given[0]
