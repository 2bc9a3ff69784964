"""Filters over values in memory: for lists that no store can filter."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from nightcrew.domain.filter import And, Comparison, Expression, Not, Or

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(expression: Expression, values: Mapping[str, Any]) -> bool:
    """Whether the fields' values satisfy a filter; a field without a value (None) satisfies no comparison."""
    match expression:
        case Comparison(field, ":", wanted, _):
            return _has(values.get(field), wanted)
        case Comparison(field, sign, wanted, _):
            value = values.get(field)
            return value is not None and _OPERATORS[sign](value, wanted)
        case And(terms):
            return all(matches(term, values) for term in terms)
        case Or(terms):
            return any(matches(term, values) for term in terms)
        case Not(term):
            return not matches(term, values)


def _has(value: Any, wanted: object) -> bool:
    """As a store has it: "*" is any value but none, and case does not count."""
    if value is None:
        return False
    return value != "" if wanted == "*" else str(wanted).lower() in str(value).lower()
