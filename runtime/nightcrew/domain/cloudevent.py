"""CloudEvents as callers publish them: what an event's attributes may be, and its form in JSON."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from nightcrew.domain.durations import format_instant
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.event import OWN_PREFIX, Event, NewEvent
from nightcrew.domain.values import MAX_DEPTH, checked, deeper, encode

MAX_EVENTS: Final = 1000
"""Events in one batch (semantics.md, Events)."""
MAX_ATTRIBUTE: Final = 1024
MAX_EXTENSIONS: Final = 64
KNOWN_FOR: Final = timedelta(hours=24)
"""How long an event of the same source and id is the same event, from when it was received."""
ATTRIBUTES: Final = ("datacontenttype", "datacontentencoding", "dataschema")
"""Attributes of CloudEvents that stand among the extensions, since the contract has no fields for them."""

_RESERVED: Final = frozenset({"id", "source", "type", "specversion", "subject", "time", "data"})
_NAME: Final = re.compile(r"[a-z0-9]{1,20}")
# RFC 3986: what a URI reference is made of.
_REFERENCE: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# CloudEvents' String: no control characters, no surrogates, nothing that Unicode says is no character.
_UNFIT: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef\\ufffe\\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event as its publisher gives it; nothing of it has been checked.

    Attributes:
        data: Any JSON value.
        id: Made if it is empty.
        time: When it happened; when it is received if it is not given.
    """

    type: str
    source: str
    data: Any = None
    id: str = ""
    subject: str = ""
    time: datetime | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)


def checked_events(
    drafts: Sequence[Draft], *, now: datetime, new_id: Callable[[], str], name: str = "events"
) -> list[NewEvent]:
    """The events of a batch.

    Args:
        drafts: As they were given.
        now: When they were received.
        new_id: Makes the ids that are not given.
        name: What the batch is called in errors.

    Raises:
        InvalidArgument: Names every attribute that is wrong, such as `events[3].type`; or there are none, or too many.
    """
    if not 1 <= len(drafts) <= MAX_EVENTS:
        raise InvalidArgument.of(name, f"must be 1 to {MAX_EVENTS}, are {len(drafts)}")
    found: list[FieldViolation] = []
    events = []
    for index, draft in enumerate(drafts):
        path = f"{name}[{index}]"
        data, faults = _data(draft, f"{path}.data")
        faults += [FieldViolation(f"{path}.{where}", why) for where, why in _faults(draft)]
        found += faults
        if not found:
            events.append(_event(draft, data, now=now, new_id=new_id))
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)
    return events


def _event(draft: Draft, data: str, *, now: datetime, new_id: Callable[[], str]) -> NewEvent:
    return NewEvent(
        type=draft.type,
        source=draft.source,
        time=now if draft.time is None else draft.time,
        data=data,
        id=draft.id or new_id(),
        subject=draft.subject,
        extensions=dict(draft.extensions),
    )


def _data(draft: Draft, path: str) -> tuple[str, list[FieldViolation]]:
    try:
        if deeper(draft.data, MAX_DEPTH):
            raise InvalidArgument.of(path, f"must be nested at most {MAX_DEPTH} deep")
        return checked(draft.data, field=path), []
    except InvalidArgument as error:
        return "", list(error.violations)


def _faults(draft: Draft) -> list[tuple[str, str]]:
    """What is wrong with an event's attributes: where, and what would be right."""
    texts = {"id": draft.id, "source": draft.source, "type": draft.type, "subject": draft.subject}
    found = [(name, why) for name, text in texts.items() if (why := _text_fault(text))]
    if not draft.type:
        found.append(("type", "is required"))
    elif draft.type.startswith(OWN_PREFIX):
        found.append(("type", f"must not begin with {OWN_PREFIX!r}: those are the runtime's own events"))
    if not draft.source:
        found.append(("source", "is required: a URI reference such as /shop"))
    elif not _REFERENCE.fullmatch(draft.source):
        found.append(
            ("source", "must be a URI reference such as /shop; other characters are percent-encoded")
        )
    if len(draft.extensions) > MAX_EXTENSIONS:
        found.append(("extensions", f"must be at most {MAX_EXTENSIONS}, are {len(draft.extensions)}"))
    for name, text in draft.extensions.items():
        if why := _name_fault(name) or _text_fault(text):
            found.append((f"extensions[{name[:80]!r}]", why))
    return found


def _name_fault(name: str) -> str:
    if name in _RESERVED:
        return "is an attribute of its own, and no extension"
    if not _NAME.fullmatch(name):
        return "must be named by 1 to 20 lower-case letters and digits"
    return ""


def _text_fault(text: str) -> str:
    if len(text) > MAX_ATTRIBUTE:
        return f"must be at most {MAX_ATTRIBUTE} characters, is {len(text)}"
    if unfit := _UNFIT.search(text):
        return f"must hold no control characters and no surrogates, as at position {unfit.start()}"
    return ""


def event_text(event: Event) -> str:
    """The whole event in CloudEvents' JSON format, its data as it was given: what an agent's input holds."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": format_instant(event.time),
    }
    if event.subject:
        attributes["subject"] = event.subject
    attributes.update(event.extensions)
    return f'{encode(attributes)[:-1]},"data":{event.data}}}'
