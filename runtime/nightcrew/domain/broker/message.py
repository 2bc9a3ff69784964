"""A broker's message as an event: CloudEvents as they are, structured or binary; anything else in an event of ours."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from nightcrew.domain.broker.url import EXTENSION, BrokerUrl
from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.values import MAX_VALUE_BYTES

STRUCTURED: Final = "application/cloudevents"
BATCH: Final = "application/cloudevents-batch"

_ESCAPED: Final = "ce-"
"""NATS's binding, as HTTP's, percent-encodes the values behind this prefix; the others leave theirs as they are."""
_PREFIXES: Final = (_ESCAPED, "ce_", "cloudevents:", "cloudevents_")
"""How the bindings of CloudEvents to NATS, Kafka and AMQP mark attributes among headers."""
_BARE: Final = frozenset({"specversion", "id", "source", "type"})
"""MQTT's binding marks them with nothing: a message that has all four is an event."""
_ENCODED: Final = "datacontentencoding"
_JSON: Final = re.compile(r"application/(?:[^;]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


class Unfit(Exception):  # noqa: N818 - it is the message that is unfit
    """A message that is no event, and would be none the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as a broker handed it over.

    Attributes:
        body: What it holds.
        headers: Its headers or properties; a value that is no text is left out.
        content_type: As its sender says; empty if it does not.
        subject: Where it was sent to: subject, stream, routing key or topic.
        identity: What names it at its broker, the same each time it is delivered, or made by its reader.
    """

    body: bytes
    headers: Mapping[str, str]
    content_type: str
    subject: str
    identity: str


def event_of(message: Message, url: BrokerUrl) -> Draft:
    """The event that a message is.

    Raises:
        Unfit: It is over 1 MiB, or says that it is a CloudEvent and is none.
    """
    if len(message.body) > MAX_VALUE_BYTES:
        raise Unfit(f"it is {len(message.body)} bytes; at most {MAX_VALUE_BYTES} are taken")
    if message.content_type.lower().startswith(BATCH):
        raise Unfit("it is a batch of CloudEvents; send one event a message")
    if message.content_type.lower().startswith(STRUCTURED):
        return _cloud_event(_structured(message.body), url)
    attributes = _attributes(message.headers)
    if attributes:
        if message.content_type:
            attributes.setdefault("datacontenttype", message.content_type)
        _put_data(attributes, message)
        return _cloud_event(attributes, url)
    held: dict[str, Any] = {}
    _put_data(held, message)
    return Draft(
        type=f"{url.kind.value}.message",
        source=url.public,
        id=message.identity,
        subject=message.subject,
        data=held.pop("data"),
        extensions={**held, EXTENSION: url.public},
    )


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of a CloudEvent in the binary mode; nothing if it is none."""
    marked = {
        name.lower().removeprefix(prefix): unquote(value) if prefix == _ESCAPED else value
        for name, value in headers.items()
        for prefix in _PREFIXES
        if name.lower().startswith(prefix)
    }
    if marked:
        return marked
    return dict(headers) if headers.keys() >= _BARE else {}


def _put_data(into: dict[str, Any], message: Message) -> None:
    """Puts the body among the attributes: JSON if it is, else text, else base64."""
    into.pop(_ENCODED, None)
    says = str(into.get("datacontenttype", message.content_type))
    if _JSON.fullmatch(says) or not says:
        try:
            into["data"] = _json(message.body) if message.body else None
        except ValueError:
            if says:
                raise Unfit(f"it is no JSON, though its content type is {says[:80]}") from None
        else:
            return
    try:
        into["data"] = message.body.decode()
    except UnicodeDecodeError:
        into["data"] = base64.b64encode(message.body).decode()
        into[_ENCODED] = "base64"


def _structured(body: bytes) -> dict[str, Any]:
    try:
        held = _json(body)
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise Unfit("it is no JSON object, though its content type says that it is a CloudEvent")
    if "data_base64" in held:
        held["data"] = held.pop("data_base64")
        held[_ENCODED] = "base64"
    return held


def _cloud_event(attributes: dict[str, Any], url: BrokerUrl) -> Draft:
    """The event of a CloudEvent's attributes; what they may be is checked when it is published."""
    if attributes.pop("specversion", None) != "1.0":
        raise Unfit("it is a CloudEvent of another specversion than 1.0")
    data = attributes.pop("data", None)
    extensions = {name: _text(value) for name, value in attributes.items() if value is not None}
    known = {name: extensions.pop(name, "") for name in ("id", "source", "type", "subject", "time")}
    for name in _BARE - {"specversion"}:
        if not known[name]:
            raise Unfit(f"it is a CloudEvent without {name!r}")
    extensions[EXTENSION] = url.public
    return Draft(
        id=known["id"],
        source=known["source"],
        type=known["type"],
        subject=known["subject"],
        time=_time(known["time"]),
        data=data,
        extensions=extensions,
    )


def _text(value: Any) -> str:
    """An attribute as text: JSON has numbers and truth values for it too."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise Unfit("it is a CloudEvent with an attribute that is neither text, number nor truth value")


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Unfit("it is a CloudEvent whose time is none: 2026-01-01T00:00:00Z, say")
    return time


def _json(body: bytes) -> Any:
    """The value of a JSON text; ValueError if it is none, which NaN and infinity are not either."""
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
