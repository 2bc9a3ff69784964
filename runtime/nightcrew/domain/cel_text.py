"""CEL expressions as texts: what is refused before the library sees it, and where it says that a fault is."""

import json
import re
from typing import Any, Final

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.values import decode

MAX_SUMS: Final = 8
"""How many `+` an expression may have."""
# Comments and texts, as CEL's grammar has them; in a raw text a backslash is one.
_TEXT: Final = re.compile(
    r"""//[^\n\r]*|[bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')"""
    r"""|\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'""",
    re.DOTALL,
)
_COMPREHENSION: Final = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|filter|map)\s*\(")
_PATTERN: Final = re.compile(r"\bmatches\s*\((?!\s*\"\"\s*\))")
_BYTES: Final = re.compile(r"\bbytes\s*\(")
_INT64: Final = 2**63
_LONG_NUMBER: Final = re.compile(r"\d{19}")
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (.*)")


def check_bounds(text: str, *, field: str, noun: str) -> bool:
    """Whether an expression multiplies.

    Raises:
        InvalidArgument: It does so without a bound; names the field and the position in it, from 0.
    """
    # Texts in it become empty ones of the same length, so that positions stay.
    bare = _TEXT.sub(lambda found: ("" if found[0].startswith("//") else '""').ljust(len(found[0])), text)
    if found := _PATTERN.search(bare):
        raise InvalidArgument.of(
            field, f"at position {found.start()}: matches() takes a pattern that stands in the {noun}"
        )
    if found := _BYTES.search(bare):
        raise InvalidArgument.of(field, f"at position {found.start()}: there is no bytes()")
    comprehension = _COMPREHENSION.search(bare)
    sums = [place for place, sign in enumerate(bare) if sign == "+"]
    if sums and comprehension:
        raise InvalidArgument.of(
            field, f"at position {sums[0]}: a {noun} with a comprehension can't have a '+'"
        )
    if len(sums) > MAX_SUMS:
        raise InvalidArgument.of(field, f"at position {sums[MAX_SUMS]}: at most {MAX_SUMS} '+' in a {noun}")
    return bool(sums or comprehension)


def placed(message: str, text: str) -> str:
    """The library's first complaint, with its place in the expression."""
    found = _PLACE.search(message)
    if found is None:
        return f"at position 0: {said(message)}"
    line, column, why = int(found[1]), int(found[2]), found[3]
    if line < 1:
        return f"at position 0: {why.rstrip('.')}"
    before = sum(len(one) for one in text.splitlines(keepends=True)[: line - 1])
    return f"at position {before + column - 1}: {why}"


def said(error: object) -> str:
    """The first line of what the library said, and not too much of it."""
    return str(error).split("\n", 1)[0][:300]


def cel_value(text: str) -> Any:
    """The value of a JSON text; a whole number past 64 bits is a double, as CEL has no other."""
    if _LONG_NUMBER.search(text):
        return json.loads(text, parse_int=_number)
    return decode(text)


def _number(digits: str) -> int | float:
    number = int(digits) if len(digits) < len(str(_INT64)) + 2 else float(digits)
    return number if -_INT64 <= number < _INT64 else float(number)
