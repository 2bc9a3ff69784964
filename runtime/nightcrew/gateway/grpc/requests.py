"""What the requests of the contract share: required fields, request ids with their digests, lists."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.message import Message

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.filter import parse, parse_order
from nightcrew.domain.filter_fields import FieldKind
from nightcrew.domain.page import ListQuery, Page, page_size
from nightcrew.gateway.grpc.convert.times import time_of
from nightcrew.services.once import Request

T = TypeVar("T")

MAX_REASON: Final = 1024
PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page ends early when its messages are larger than this: a client's limit for a message is often 4 MiB."""


class Mutation(Protocol):
    """A request that changes something."""

    @property
    def request_id(self) -> str:
        """A UUID, or empty."""


class ListRequest(Protocol):
    """A request for a page."""

    @property
    def page_size(self) -> int:
        """At most so many."""

    @property
    def page_token(self) -> str:
        """Where to go on."""

    @property
    def filter(self) -> str:
        """Which ones."""


def required(value: str, field: str) -> str:
    """The value itself.

    Raises:
        InvalidArgument: It is empty.
    """
    if not value:
        raise InvalidArgument.of(field, "is required")
    return value


def reason_of(text: str) -> str:
    """The reason that a person gave, itself.

    Raises:
        InvalidArgument: It is a novel.
    """
    if len(text) > MAX_REASON:
        raise InvalidArgument.of("reason", f"must be at most {MAX_REASON} characters, is {len(text)}")
    return text


def required_time(message: Message, field: str) -> datetime:
    """The instant of a Timestamp that must be given.

    Raises:
        InvalidArgument: It is not set, or is no right time.
    """
    if not message.HasField(field):
        raise InvalidArgument.of(field, "is required")
    return time_of(getattr(message, field), field)


def request_of(message: Mutation, method: str) -> Request:
    """Who asks for what: the request id, and the digest of the body without it and without `wait`.

    Args:
        message: The request.
        method: The RPC, as `AgentService/CreateAgent`.
    """
    if not message.request_id or not isinstance(message, Message):
        return Request(method=method)
    body = type(message)()
    body.CopyFrom(message)
    for name in ("request_id", "wait"):
        if name in body.DESCRIPTOR.fields_by_name:
            body.ClearField(name)
    digest = hashlib.sha256(body.SerializeToString(deterministic=True)).hexdigest()
    return Request(method=method, request_id=message.request_id, digest=digest)


def query_of(
    message: ListRequest,
    fields: Mapping[str, FieldKind],
    orders: Collection[str] = (),
    *,
    order_by: str = "",
) -> ListQuery:
    """What a list is asked for.

    Args:
        message: The request.
        fields: What its filter may name.
        orders: What its order may name.
        order_by: Its order, if the request has one.

    Raises:
        InvalidArgument: The page size is negative, the filter or the order has a fault.
    """
    return ListQuery(
        page_size=page_size(message.page_size),
        page_token=message.page_token,
        where=parse(message.filter, fields),
        order=parse_order(order_by, orders),
    )


async def fill_page(
    out: Any,
    into: str,
    query: ListQuery,
    read: Callable[[ListQuery], Awaitable[Page[T]]],
    fill: Callable[[Any, T], None],
) -> None:
    """Writes a page into a List answer, shorter than was asked for if it would be too large for a message.

    Args:
        out: The answer.
        into: The name of its repeated field.
        query: What was asked for.
        read: The use case.
        fill: Writes one item into an empty message.
    """
    page = await read(query)
    fitting = _fill(getattr(out, into), page.items, fill)
    if fitting < len(page.items):
        page = await read(replace(query, page_size=fitting))
    out.next_page_token = page.next_page_token


def _fill(messages: Any, items: Sequence[T], fill: Callable[[Any, T], None]) -> int:
    room = PAGE_BYTES
    for index, item in enumerate(items):
        message = messages.add()
        fill(message, item)
        room -= message.ByteSize()
        if room < 0 and index:
            del messages[index]
            return index
    return len(items)
