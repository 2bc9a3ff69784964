"""What a request becomes as an execution's input: its body parsed, its headers without credentials."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.values import MAX_DEPTH, JsonObject, deeper, flaw
from nightcrew.domain.webhook.headers import Headers

MAX_BODY: Final = 1024 * 1024
MAX_INPUT: Final = 8 * MAX_BODY
"""A body of 1 MiB is up to six in JSON (text of control characters), and the agent's own input comes to it."""

_JSON: Final = re.compile(r"application/(.*\+)?json", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(
    r"authorization|cookie|signature|token|secret|password|credential|api-?key|^x-amz-security"
)


def webhook_input(
    *, method: str, query: Iterable[tuple[str, str]], headers: Headers, body: bytes
) -> JsonObject:
    """The `webhook` part of an input: body, headers, query, method; `encoding` too where the body is base64.

    Raises:
        InvalidArgument: The body says that it is JSON, and is none.
    """
    said = headers.get("content-type").partition(";")[0].strip()
    value, encoded = _body(body, is_json=_JSON.fullmatch(said) is not None, may_be_json=not said)
    out = {"body": value, "headers": kept_headers(headers), "query": _query(query), "method": method}
    return {**out, "encoding": "base64"} if encoded else out


def kept_headers(headers: Headers) -> dict[str, str]:
    """The headers that a program may see: none that proves anything."""
    return {name: value for name, value in headers if not _CREDENTIAL.search(name)}


def texts_in(body: bytes, *names: str) -> tuple[str, ...]:
    """The texts that the JSON object in a body has under these names, each empty where there is none."""
    try:
        value = _parsed(body)
    except (ValueError, RecursionError):
        value = None
    found = [value.get(name) if isinstance(value, dict) else None for name in names]
    return tuple(one if isinstance(one, str) and not flaw(one) else "" for one in found)


def _body(body: bytes, *, is_json: bool, may_be_json: bool) -> tuple[Any, bool]:
    """The body's value, and whether it is base64."""
    if body and (is_json or may_be_json):
        try:
            value = _parsed(body)
        except RecursionError:
            pass  # far too deep: it stays text
        except ValueError as error:
            if is_json:
                why = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"JSON: {error}"
                raise InvalidArgument.of("body", f"must be what its content-type says, {why}") from None
        else:
            if not _too_deep(body, value):
                return value, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _parsed(body: bytes) -> Any:
    return json.loads(body.decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _too_deep(body: bytes, value: Any) -> bool:
    return body.count(b"{") + body.count(b"[") > MAX_DEPTH and deeper(value, MAX_DEPTH)


def _query(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Values by name; one that is given several times has a list of them."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: many[0] if len(many) == 1 else many for name, many in values.items()}
