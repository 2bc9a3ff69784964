"""CloudEvents in HTTP's three content modes, read into events that are to be published; never guessed at."""

import base64
import binascii
import json
import re
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any, Final

from cloudevents.core.bindings.http import CE_PREFIX, HTTPMessage, from_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from starlette.exceptions import HTTPException

from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.durations import parse_instant
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.webhook.headers import Headers

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NAME: Final = "events"

_CONTENT_TYPE: Final = "content-type"
_JSON: Final = re.compile(r"(application|text)/(?:[\w.-]+\+)?json")
_CHARSET: Final = re.compile(r';\s*charset="?([^";\s]+)', re.IGNORECASE)
_ENCODING: Final = "datacontentencoding"
_DATA: Final = ("data", "data_base64")
_ELSEWHERE: Final = {"data": "the body", "datacontenttype": "Content-Type"}
_MADE: Final = ("id", "specversion")
"""What the SDK makes up where it is missing; an event of another's making must have it."""
_OWN: Final = frozenset({"specversion", "id", "source", "type", "subject", "time"})


def drafts_of(headers: Headers, body: bytes) -> list[Draft]:
    """The events of a request: structured, a batch, or binary.

    Raises:
        HTTPException: 415, it is none of the three, or in another format or character set than JSON in UTF-8.
        InvalidArgument: It says that it is, and is not; names what is wrong.
    """
    said = headers.get(_CONTENT_TYPE)
    media = said.partition(";")[0].strip().lower()
    charset = _CHARSET.search(said)
    if media in {STRUCTURED, BATCH}:
        if charset and charset[1].lower() not in {"utf-8", "utf8"}:
            raise HTTPException(415, f"JSON is in UTF-8, not in {charset[1][:40]}")
        held = _json(body, "body")
        if media == STRUCTURED:
            return [_structured(held, f"{NAME}[0]")]
        if not isinstance(held, list):
            raise InvalidArgument.of("body", "must be a JSON array of events")
        return [_structured(one, f"{NAME}[{index}]") for index, one in enumerate(held)]
    if not media.startswith("application/cloudevents") and any(
        name.startswith(CE_PREFIX) for name, _ in headers
    ):
        return [_binary(headers, body, f"{NAME}[0]")]
    raise HTTPException(
        415, f"send CloudEvents: as {STRUCTURED}, as {BATCH}, or with ce- headers and the data as the body"
    )


def _binary(headers: Headers, body: bytes, path: str) -> Draft:
    """An event whose attributes are headers; its content type says what its data are."""
    names = [name for name, _ in headers if name.startswith(CE_PREFIX) or name == _CONTENT_TYPE]
    for name, place in _ELSEWHERE.items():
        if CE_PREFIX + name in names:
            raise InvalidArgument.of(f"{path}.{name}", f"is no header of its own: {place} is it")
    given = {name: headers.single(name) for name in names}
    _check_given({name.removeprefix(CE_PREFIX) for name in names}, path)
    try:
        event = from_binary(HTTPMessage(given, b""), JSONFormat(), CloudEvent)
    except CloudEventValidationError as error:
        raise _refused(error, path) from error
    except ValueError:
        raise InvalidArgument.of(
            f"{path}.time", "must be an RFC 3339 time such as 2026-11-01T09:00:00Z"
        ) from None
    attributes = event.get_attributes()
    data, encoded = _data(body, attributes.get("datacontenttype", ""), f"{path}.data")
    if encoded:
        attributes[_ENCODING] = "base64"
    return _draft(attributes, data)


def _structured(held: object, path: str) -> Draft:
    """An event as a JSON object."""
    if not isinstance(held, dict):
        raise InvalidArgument.of(path, "must be a JSON object: an event")
    attributes: dict[str, Any] = {
        name: _attribute(value, f"{path}.{name}")
        for name, value in held.items()
        if name not in _DATA and value is not None
    }
    _check_given(attributes, path)
    if "time" in attributes:
        attributes["time"] = _time(attributes["time"], f"{path}.time")
    if all(held.get(name) is not None for name in _DATA):
        raise InvalidArgument.of(f"{path}.data_base64", "is given, and data too; one of them is right")
    data = held.get("data")
    if (raw := held.get("data_base64")) is not None:
        data, encoded = _decoded(raw, str(attributes.get("datacontenttype", "")), f"{path}.data_base64")
        if encoded:
            attributes[_ENCODING] = "base64"
    try:
        event = CloudEvent(attributes=attributes, data=None)
    except CloudEventValidationError as error:
        raise _refused(error, path) from error
    return _draft(event.get_attributes(), data)


def _draft(attributes: Mapping[str, Any], data: Any) -> Draft:
    time = attributes.get("time")
    return Draft(
        type=attributes["type"],
        source=attributes["source"],
        data=data,
        id=attributes["id"],
        subject=attributes.get("subject", ""),
        time=parse_instant(time) if isinstance(time, datetime) else None,
        extensions={name: str(value) for name, value in attributes.items() if name not in _OWN},
    )


def _check_given(names: Container[str], path: str) -> None:
    missing = [FieldViolation(f"{path}.{name}", "is required") for name in _MADE if name not in names]
    if missing:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in missing), violations=missing)


def _attribute(value: object, path: str) -> str:
    """CloudEvents' Boolean, Integer and String, as text."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if -(2**31) <= value < 2**31:
            return str(value)
        case str():
            return value
        case _:
            raise InvalidArgument.of(path, "must be a text, a whole number of 32 bits, true or false")


def _time(text: str, path: str) -> datetime:
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise InvalidArgument.of(path, "must be an RFC 3339 time such as 2026-11-01T09:00:00Z") from None


def _decoded(raw: object, content_type: str, path: str) -> tuple[Any, bool]:
    try:
        body = base64.b64decode(raw if isinstance(raw, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument.of(path, "must be base64") from None
    return _data(body, content_type or "application/octet-stream", path)


def _data(body: bytes, content_type: str, path: str) -> tuple[Any, bool]:
    """What a body holds, and whether that is base64: JSON where it says so or says nothing, else text, else base64."""
    media = content_type.partition(";")[0].strip().lower()
    if not body:
        return None, False
    if not media or _JSON.fullmatch(media):
        return _json(body, path), False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _json(body: bytes, path: str) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidArgument.of(path, f"must be UTF-8; byte {error.start} is not") from None
    except RecursionError:
        raise InvalidArgument.of(path, "must be JSON that is not as deep") from None
    except ValueError as error:
        raise InvalidArgument.of(path, f"must be JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _refused(error: CloudEventValidationError, path: str) -> InvalidArgument:
    """The SDK's complaints, by attribute."""
    found = [
        FieldViolation(f"{path}.{name}", str(faults[0])) for name, faults in sorted(error.errors.items())
    ]
    return InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)
