"""AIP-160 filters and AIP-132 orders: parsed to a small tree that a store translates.

The language: `agent_id = "digest" AND state = "STATE_FAILED" AND create_time > "2026-01-01T00:00:00Z"`,
with AND, OR, NOT, `-`, parentheses, `=`, `!=`, `<`, `<=`, `>`, `>=` and `:` (has). As AIP-160 says, OR binds
tighter than AND. Which fields exist, and of which type, is the caller's table.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; `value` is typed by the field's kind; `position` is its 0-based place in the text."""

    field: str
    operator: str
    value: object
    position: int


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this."""

    term: "Expression"


Expression: TypeAlias = Comparison | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    """One field of an `order_by`."""

    field: str
    descending: bool = False
