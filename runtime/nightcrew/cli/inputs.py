"""What people give to commands: JSON from the line, a file or stdin, labels, states, and filters made of them."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import typer

from nightcrew.cli.refusal import WrongUse

EnumT = TypeVar("EnumT", bound=StrEnum)


def json_value(text: str, option: str) -> Any:
    """JSON from the argument itself, from a file (`@path`) or from stdin (`-`); errors name the place (exit 2)."""
    source, where = _text(text, option)
    try:
        return json.loads(source)
    except ValueError as error:
        raise WrongUse(option, f"{where} is no JSON: {error}") from None


def json_object(text: str | None, option: str) -> dict[str, Any]:
    """The same, and it must be an object; nothing given is an empty one."""
    if text is None:
        return {}
    value = json_value(text, option)
    if not isinstance(value, dict):
        what = f'must be a JSON object such as {{"key": "value"}}, not {json.dumps(value)[:40]}'
        raise WrongUse(option, what)
    return value


def labels(given: Iterable[str], option: str) -> dict[str, str]:
    """Labels of `key=value` texts, each of which may hold several, separated by commas."""
    found: dict[str, str] = {}
    for text in given:
        for part in filter(None, (one.strip() for one in text.split(","))):
            key, equals, value = part.partition("=")
            if not equals or not key:
                raise WrongUse(option, f"{part!r} is no label; write key=value")
            found[key.strip()] = value.strip()
    return found


def member(kind: type[EnumT], text: str, option: str) -> EnumT:
    """A member of an enumeration by its name, in any case, with or without its prefix."""
    wanted = text.strip().upper().replace("-", "_")
    for one in kind:
        if wanted in {one.name, one.value} and one.name != "UNSPECIFIED":
            return one
    names = ", ".join(one.name.lower() for one in kind if one.name != "UNSPECIFIED")
    raise WrongUse(option, f"{text!r} is none of {names}")


def any_of(field: str, values: Sequence[StrEnum | str]) -> str:
    """The filter `field` is one of these; empty for none."""
    return " OR ".join(f"{field} = {quoted(str(one))}" for one in values)


def any_type(types: Sequence[str]) -> str:
    """The filter `type` is one of these, each exact or, as a trigger has it, a prefix with `*` at its end."""
    if "*" in types:
        return ""
    return " OR ".join(_type(one) for one in types)


def _type(text: str) -> str:
    prefix = text.removesuffix("*")
    if "*" in prefix:
        raise WrongUse("--type", f"{text!r} may have a * at its end only")
    if prefix == text:
        return f"type = {quoted(text)}"
    # All that begin with the prefix stand, in the order of texts, before the prefix with its last character's next.
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return f"(type >= {quoted(prefix)} AND type < {quoted(after)})"


def filter_option(example: str) -> Any:
    """The option `--filter` of a list, with an example that names fields which its items have."""
    return typer.Option("--filter", help=f"In AIP-160's language: {example}.")


def all_of(*filters: str) -> str:
    """The filter that all of these hold; empty ones are left out."""
    given = [one for one in filters if one.strip()]
    return given[0] if len(given) == 1 else " AND ".join(f"({one})" for one in given)


def quoted(text: str) -> str:
    """A text as a filter holds it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(given: str, option: str) -> tuple[str, str]:
    """The text, and what to call it in an error."""
    if given == "-":
        return sys.stdin.read(), "stdin"
    if not given.startswith("@"):
        return given, "the value"
    path = Path(given[1:])
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(option, f"{path} can't be read: {error}") from None
