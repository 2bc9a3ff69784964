"""Translates a filter's tree to SQL: parameters for values, a resource's own columns for fields.

Every comparison gives 0 or 1, never NULL, so that NOT turns it over: a field that is not set equals nothing, is
different from everything, and is neither less nor greater.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.filter import And, Comparison, Expression, Not, Or
from nightcrew.store.sqlite.labels import label_value

LABELS: Final = "labels"
EXTENSIONS: Final = "extensions"
_MAPS: Final = (LABELS, EXTENSIONS)
"""Fields whose keys are fields: their columns hold JSON objects of texts."""
_ORDERED: Final = ("<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a resource: the SQL that gives its value, and whether that can be NULL."""

    sql: str
    nullable: bool = False


def where(expression: Expression, fields: Mapping[str, Field]) -> tuple[str, list[Any]]:
    """A SQL condition and its parameters.

    Raises:
        InvalidArgument: A field that the resource does not have, or an operator that does not fit it.
    """
    match expression:
        case Comparison():
            return _comparison(expression, fields)
        case Not(term):
            sql, values = where(term, fields)
            return f"NOT ({sql})", values
        case And(terms) | Or(terms):
            parts = [where(term, fields) for term in terms]
            word = "AND" if isinstance(expression, And) else "OR"
            return _joined([sql for sql, _ in parts], word), [value for _, some in parts for value in some]


def _joined(parts: Sequence[str], word: str) -> str:
    """All the parts in a balanced tree: SQLite takes no expression deeper than 1,000, and a filter can be."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle], word)} {word} {_joined(parts[middle:], word)})"


def _comparison(one: Comparison, fields: Mapping[str, Field]) -> tuple[str, list[Any]]:
    root, _, key = one.field.partition(".")
    if root in _MAPS and key and root in fields:
        return _key(one, fields[root].sql, key)
    field = fields.get(one.field) if one.field not in _MAPS else None
    if field is None:
        raise InvalidArgument.of(
            "filter",
            f"at position {one.position}: there is no field {one.field!r}; there are {', '.join(sorted(fields))}",
        )
    value = _bound(one.value)
    match one.operator:
        case "=":
            return (f"{field.sql} IS ?" if field.nullable else f"{field.sql} = ?"), [value]
        case "!=":
            return (f"{field.sql} IS NOT ?" if field.nullable else f"{field.sql} != ?"), [value]
        case ":" if value == "*":
            return f"coalesce({field.sql}, '') != ''", []
        case ":" if isinstance(value, str):
            return f"instr(lower(coalesce({field.sql}, '')), lower(?)) > 0", [value]
        case operator if operator in _ORDERED:
            sql = f"{field.sql} {operator} ?"
            return (f"coalesce({sql}, 0)" if field.nullable else sql), [value]
        case _:
            raise _unfit(one)


def _key(one: Comparison, column: str, key: str) -> tuple[str, list[Any]]:
    sql, path = label_value(column, key)
    match one.operator:
        case "=":
            return f"{sql} IS ?", [path, one.value]
        case "!=":
            return f"{sql} IS NOT ?", [path, one.value]
        case ":" if one.value == "*":
            return f"{sql} IS NOT NULL", [path]
        case operator if operator in _ORDERED:
            return f"coalesce({sql} {operator} ?, 0)", [path, one.value]
        case _:
            raise _unfit(one)


def _bound(value: object) -> Any:
    match value:
        case datetime():
            return to_micros(value)
        case bool():
            return int(value)
        case str():
            return str(value)
        case _:
            return value


def _unfit(one: Comparison) -> InvalidArgument:
    return InvalidArgument.of(
        "filter", f"at position {one.position}: the operator {one.operator!r} does not fit {one.field}"
    )
