"""`${secret:NAME}` in texts that people write: found, checked, and replaced where the text is used, never before."""

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

from nightcrew.domain.errors import FieldViolation, InvalidArgument, join_path
from nightcrew.domain.spec.program import Program
from nightcrew.domain.values import encode

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
"""It is a part of a variable's name and of a file's path, so it has neither dots nor slashes."""

KEY_BYTES: Final = 32
"""The key that secrets are sealed with is one of AES-256."""

HIDDEN: Final = "[secret]"
_TELLING: Final = 4
_REFERENCE: Final = re.compile(r"\$\{secret:([^}]*)(\}?)")

Named = Callable[[str], str]
"""The secret of a name (ports.secrets.Secrets.named)."""


def key_of(text: str) -> bytes:
    """The key of its base64; ValueError says what would be right, and not what was given."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"must be {KEY_BYTES} bytes in base64 (`openssl rand -base64 {KEY_BYTES}` makes such a key)"
        )
    return key


def refers(text: str) -> bool:
    """Whether a text names a secret."""
    return "${secret:" in text


def flaw(text: str) -> str:
    """What is wrong with the references in a text; an empty string if nothing is."""
    for name, closing in _REFERENCE.findall(text):
        if not closing or not NAME.fullmatch(name):
            return "a secret is named as ${secret:NAME}, NAME of letters, digits, _ and - (at most 64)"
    return ""


def resolved(text: str, named: Named) -> str:
    """The text with the secrets themselves in the references' places.

    Raises:
        SecretUnavailable: One of them does not exist.
    """
    return _REFERENCE.sub(lambda found: named(found[1]), text) if refers(text) else text


def resolved_all(texts: Mapping[str, str], named: Named) -> dict[str, str]:
    """A mapping (headers, variables, an environment) with its values resolved.

    Raises:
        SecretUnavailable: One of the secrets does not exist.
    """
    return {key: resolved(text, named) for key, text in texts.items()}


def resolved_program(program: Program, named: Named) -> Program:
    """The program as a run is handed it: references in variables, environment, headers and URL resolved.

    Raises:
        SecretUnavailable: One of the secrets does not exist.
    """
    for kind, field, texts in _places(program):
        if any(map(refers, texts.values())):
            part = getattr(program, kind).model_copy(update={field: resolved_all(texts, named)})
            program = program.model_copy(update={kind: part})
    if program.http is not None and refers(program.http.url):
        url = resolved(program.http.url, named)
        program = program.model_copy(update={"http": program.http.model_copy(update={"url": url})})
    return program


def check_program(program: Program, *, field: str) -> None:
    """Whether every reference in a program is well written; that its secret exists is asked when a run needs it.

    Raises:
        InvalidArgument: Names every field that is wrong.
    """
    found = [
        FieldViolation(join_path(field, f"{kind}.{name}.{key}"), why)
        for kind, name, texts in _places(program)
        for key, text in texts.items()
        if (why := flaw(text))
    ]
    if program.http is not None and (why := flaw(program.http.url)):
        found.append(FieldViolation(join_path(field, "http.url"), why))
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def without(text: str, hidden: Collection[str]) -> str:
    """The text with a mark in place of every secret in it, also as JSON writes it.

    A secret of fewer than four characters is left: it would be found where it is none.
    """
    for secret in hidden:
        if len(secret) >= _TELLING:
            text = text.replace(secret, HIDDEN)
            text = text.replace(encode(secret)[1:-1], HIDDEN)
    return text


def _places(program: Program) -> list[tuple[str, str, Mapping[str, str]]]:
    """Where a program may name secrets: (its kind, the field, the texts)."""
    if program.langflow is not None:
        return [("langflow", "variables", program.langflow.variables)]
    if program.command is not None:
        return [("command", "env", program.command.env)]
    return [("http", "headers", program.http.headers)] if program.http is not None else []
