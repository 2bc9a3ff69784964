"""AIP-160 filters and AIP-132 orders: parsed to a small tree that a store translates.

The language: `agent_id = "digest" AND state = "STATE_FAILED" AND create_time > "2026-01-01T00:00:00Z"`,
with AND, OR, NOT, `-`, parentheses, `=`, `!=`, `<`, `<=`, `>`, `>=` and `:` (has). As AIP-160 says, OR binds
tighter than AND, and comparisons side by side are ANDed. Which fields exist, and of which kind, is the
caller's table. Functions, bare words, lists of values and wildcards in `=` are not part of it.

Of `:` the tree holds two forms: `field : "*"` is "has any value" (also from `labels:team`, as
`labels.team : "*"`), any other is on a text and means "contains". On other kinds, and on a map's keys, a `:`
arrives as the `=` that AIP-160 means there.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.filter_fields import ANY_KEY, FieldKind, Kind, convert, is_map, kind_of

MAX_LENGTH: Final = 8192
MAX_DEPTH: Final = 32

_SPACE: Final = re.compile(r"\s*")
_KEYWORD: Final = re.compile(r"(AND|OR|NOT)(?=[\s()]|$)")
_OPERATOR: Final = re.compile(r"<=|>=|!=|=|<|>|:")
_NAME: Final = re.compile(r"""[^\s().,:<>=!"'\\]+""")
# A bare value may hold colons, so that a time needs no quotes.
_VALUE: Final = re.compile(r"""[^\s(),<>=!"'\\]+""")
_QUOTED: Final = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


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


def parse(text: str, fields: Mapping[str, FieldKind], *, field: str = "filter") -> Expression | None:
    """The tree of a filter, values converted to their fields' kinds; None for an empty one.

    Args:
        text: What the caller wrote, at most 8192 characters.
        fields: The fields there are; a name such as `labels.*` stands for any key of a map.
        field: The path to name in the error.

    Raises:
        InvalidArgument: On `field`, with the 0-based position of the fault and what would be right.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidArgument.of(field, f"must be at most {MAX_LENGTH} characters, is {len(text)}")
    if not text.strip():
        return None
    return _Parser(text, fields, field).filter()


def parse_order(text: str, allowed: Collection[str], *, field: str = "order_by") -> tuple[Order, ...]:
    """The fields of an `order_by` such as `create_time desc, id`; () for an empty one.

    Raises:
        InvalidArgument: On `field`: a field that is not in `allowed`, one named twice, a fault of syntax.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidArgument.of(field, f"must be at most {MAX_LENGTH} characters, is {len(text)}")
    if not text.strip():
        return ()
    orders: dict[str, Order] = {}
    position = 0
    for part in text.split(","):
        at = position + len(part) - len(part.lstrip())
        position += len(part) + 1
        match part.split():
            case [name]:
                order = Order(name)
            case [name, "asc" | "desc" as direction]:
                order = Order(name, descending=direction == "desc")
            case _:
                raise _fault(field, at, "a field with an optional `desc` is expected, such as `id desc`")
        if order.field not in allowed:
            known = ", ".join(sorted(allowed))
            raise _fault(field, at, f"there is no order by {order.field[:80]!r}; there is one by {known}")
        if order.field in orders:
            raise _fault(field, at, f"{order.field!r} is named twice")
        orders[order.field] = order
    return tuple(orders.values())


def _fault(field: str, position: int, what: str) -> InvalidArgument:
    return InvalidArgument.of(field, f"at position {position}: {what}")


class _Parser:
    """Recursive descent over the text; each method reads one rule of AIP-160's grammar."""

    def __init__(self, text: str, fields: Mapping[str, FieldKind], path: str) -> None:
        self._text = text
        self._fields = fields
        self._path = path
        self._at = 0
        self._depth = 0

    def filter(self) -> Expression:
        found = self._expression()
        if self._at < len(self._text):
            rest = self._text[self._at]
            self._refuse("this `)` closes nothing" if rest == ")" else f"unexpected {rest!r}; quote texts")
        return found

    def _expression(self) -> Expression:
        terms = [*self._sequence()]
        while self._keyword("AND"):
            terms += self._sequence()
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _sequence(self) -> list[Expression]:
        """Factors side by side: AIP-160's weak AND."""
        factors = [self._factor()]
        while not self._ended():
            factors.append(self._factor())
        return factors

    def _ended(self) -> bool:
        self._skip()
        word = _KEYWORD.match(self._text, self._at)
        return (
            self._at >= len(self._text)
            or self._text[self._at] in "),=<>!:\\"
            or (word is not None and word[1] == "AND")
        )

    def _factor(self) -> Expression:
        terms = [self._term()]
        while self._keyword("OR"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _term(self) -> Expression:
        if self._keyword("NOT"):
            return Not(self._simple())
        if self._text.startswith("-", self._at):
            self._at += 1
            return Not(self._simple())
        return self._simple()

    def _simple(self) -> Expression:
        if not self._text.startswith("(", self._at):
            return self._restriction()
        opened = self._at
        if self._depth >= MAX_DEPTH:
            self._refuse(f"parentheses must not be nested more than {MAX_DEPTH} deep")
        self._at += 1
        self._depth += 1
        inner = self._expression()
        self._skip()
        if not self._text.startswith(")", self._at):
            self._refuse(f"a `)` is expected for the `(` at position {opened}")
        self._at += 1
        self._depth -= 1
        return inner

    def _restriction(self) -> Expression:
        start = self._at
        name, kind = self._field()
        self._skip()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            self._refuse_bare(name, start)
        found, at = operator[0], self._at
        self._at = operator.end()
        if kind is None:
            return self._has_key(name, found, start)
        if found not in kind.operators:
            self._refuse(f"{name} has no order; use {' or '.join(kind.operators)}", at=at)
        return self._comparison(name, kind, found, start)

    def _comparison(self, name: str, kind: FieldKind, operator: str, start: int) -> Comparison:
        text, at = self._value()
        if operator == ":" and text == "*":
            return Comparison(name, ":", "*", start)
        try:
            value = convert(kind, text)
        except ValueError as error:
            self._refuse(f"{name}: {error}", at=at)
        if operator == ":" and (kind.kind is not Kind.STRING or name not in self._fields):
            operator = "="
        return Comparison(name, operator, value, start)

    def _has_key(self, name: str, operator: str, start: int) -> Comparison:
        if operator != ":":
            self._refuse(f"{name} is a map; write {name}.KEY {operator} …, or {name}:KEY", at=start)
        key, at = self._value()
        if not key or key == "*":
            self._refuse(f"a key of {name} is expected", at=at)
        return Comparison(f"{name}.{key}", ":", "*", start)

    def _field(self) -> tuple[str, FieldKind | None]:
        """A field's name and kind; no kind for a map as a whole."""
        start = self._at
        name = self._name()
        while self._text.startswith(".", self._at):
            self._at += 1
            part = self._quoted()
            name += "." + (self._name(after_dot=True) if part is None else part)
        kind = kind_of(name, self._fields)
        if kind is None and not is_map(name, self._fields):
            if name.upper() in {"AND", "OR", "NOT"}:
                self._refuse(f"write {name.upper()} in capitals", at=start)
            known = ", ".join(one.replace(ANY_KEY, ".KEY") for one in sorted(self._fields))
            self._refuse(f"there is no field {name[:80]!r}; there are {known}", at=start)
        return name, kind

    def _name(self, *, after_dot: bool = False) -> str:
        word = _NAME.match(self._text, self._at)
        if word is None or (not after_dot and _KEYWORD.match(self._text, self._at)):
            self._refuse('a comparison is expected, such as id = "digest"')
        self._at = word.end()
        return word[0]

    def _value(self) -> tuple[str, int]:
        self._skip()
        at = self._at
        quoted = self._quoted()
        if quoted is not None:
            return quoted, at
        if self._text.startswith("(", at):
            self._refuse("lists of values are not supported; write a = 1 OR a = 2")
        word = _VALUE.match(self._text, at)
        if word is None or _KEYWORD.match(self._text, at):
            self._refuse("a value is expected; quote a text")
        self._at = word.end()
        return word[0], at

    def _quoted(self) -> str | None:
        if not self._text.startswith(('"', "'"), self._at):
            return None
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            self._refuse("this quote is never closed")
        self._at = found.end()
        return _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[1]), found[0][1:-1])

    def _keyword(self, word: str) -> bool:
        self._skip()
        found = _KEYWORD.match(self._text, self._at)
        if found is None or found[1] != word:
            return False
        self._at = found.end()
        self._skip()
        return True

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _refuse_bare(self, name: str, start: int) -> NoReturn:
        if self._text.startswith("(", self._at):
            self._refuse("functions are not supported", at=start)
        self._refuse(f"an operator (= != < <= > >= :) is expected after {name[:80]}")

    def _refuse(self, what: str, *, at: int | None = None) -> NoReturn:
        raise _fault(self._path, self._at if at is None else at, what)
