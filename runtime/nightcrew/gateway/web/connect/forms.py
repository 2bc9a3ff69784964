"""Messages in the two forms that callers choose from: protobuf's bytes, and protobuf's JSON, read strictly."""

import json
import re
from enum import StrEnum
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, Parse, ParseError
from google.protobuf.message import Message

from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.values import whole

_WITHIN: Final = re.compile(r"Failed to parse (\w+) field: ")
_UNKNOWN: Final = re.compile(
    r'Message type "\S+" has no field named "(?P<name>.*)" at "\w+\.?(?P<place>.*?)"\.\s+'
    r'Available Fields\(except extensions\): "\[(?P<fields>.*)\]"',
    re.DOTALL,
)
_PLACED: Final = re.compile(r'(?P<what>.*?),? at "?[A-Z]\w*\.(?P<place>[^"\s]+?)"?\.*', re.DOTALL)
SAID: Final = 500
"""Characters of what the parser says that are passed on, from the beginning and from the end."""
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Form(StrEnum):
    """How a message is written; the names are Connect's for its codecs."""

    PROTO = "proto"
    JSON = "json"


def read(form: Form, raw: bytes, into: type[Message]) -> Message:
    """The message that is written in these bytes.

    Raises:
        InvalidArgument: They are no JSON of it; names the field.
        DecodeError: They are no protobuf of it.
    """
    if form is Form.PROTO:
        return into.FromString(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    if not text.lstrip().startswith("{"):
        raise _malformed(f"the body must be a JSON object, the {into.DESCRIPTOR.name}; {{}} is an empty one")
    try:
        return Parse(text, into())
    except ParseError as error:
        raise _told(str(error)) from None


def written(form: Form, message: Message) -> bytes:
    """The message's bytes."""
    if form is Form.PROTO:
        return message.SerializeToString()
    return json.dumps(_whole(MessageToDict(message)), ensure_ascii=False, separators=(",", ":")).encode()


def _whole(value: Any) -> Any:
    """The value with whole numbers written as such: a Value knows floats only, so its 3 would be 3.0."""
    match value:
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case float():
            return whole(value)
        case _:
            return value


def _told(fault: str) -> InvalidArgument:
    """What protobuf's parser says in a text, with the field in its place."""
    if len(fault) > 2 * SAID:
        fault = f"{fault[:SAID]} … {fault[-SAID:]}"  # it may quote what was sent; the place is at the end
    around = ".".join(_WITHIN.findall(fault))
    fault = _WITHIN.sub("", fault).rstrip(".")
    if found := _UNKNOWN.fullmatch(fault):
        there = found["fields"].replace("'", "")
        place = f"{found['place']}.{found['name']}" if found["place"] else found["name"]
        return _malformed("there is no such field" + (f"; there are {there}" if there else ""), place)
    if found := _PLACED.fullmatch(fault):
        return _malformed(found["what"].rstrip("."), found["place"])
    return _malformed(fault, around) if around else _malformed(f"the body can't be read: {fault}")


def _malformed(what: str, place: str = "") -> InvalidArgument:
    if not place:
        return InvalidArgument(what, code="malformed_request")
    field = _CAPITAL.sub(lambda capital: f"_{capital[1].lower()}", place)
    violations = [FieldViolation(field, what)]
    return InvalidArgument(f"{field}: {what}", violations=violations, code="malformed_request")
