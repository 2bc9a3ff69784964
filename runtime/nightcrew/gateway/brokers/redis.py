"""Redis streams: a consumer group; what was handed over and never acknowledged is claimed again."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import RedisStreamMessage
from faststream.redis.parser import BinaryMessageFormatV1
from redis.exceptions import ResponseError

from nightcrew.domain.broker.message import Message
from nightcrew.domain.broker.url import BrokerUrl
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe, texts

CLAIM_AFTER: Final = 15_000
"""Milliseconds after which an entry that was not acknowledged is taken anew: its reader has died."""
_FASTSTREAM: Final = b"__data__"
"""The field of an entry that FastStream wrote: its body and headers in a format of its own."""
_BODIES: Final = (b"data", b"body", b"payload", b"message")
"""A field of one of these names holds the message, the others are its headers; else all fields are."""


async def connect(access: Access, take: Take) -> RedisBroker:
    """A connected broker with its subscribers, not started."""
    url = access.url
    database, stream = url.place
    scheme = "rediss" if url.tls else "redis"
    broker = RedisBroker(
        f"{scheme}://{access.address}/{database}",
        security=security(access),
        socket_connect_timeout=5,
        **OPTIONS,
    )
    try:
        client = await broker.connect()
        await _make_group(client, url, stream)
    except BaseException:
        await broker.stop()
        raise
    # New entries, and those whose reader has died: two readers of one group.
    for claim_after in (None, CLAIM_AFTER):
        sub = StreamSub(
            stream,
            group=url.options.get("group", url.name),
            consumer=url.options.get("consumer", url.name),
            last_id=">",
            polling_interval=500,
            max_records=IN_FLIGHT if claim_after is None else None,
            min_idle_time=claim_after,
        )
        subscriber = broker.subscriber(
            stream=sub, max_workers=IN_FLIGHT, parser=_parser(client, sub.group), **MANUAL
        )
        subscribe(subscriber, take, _read, sets_aside=False)  # what is unfit stays in the stream
    return broker


def _parser(client: Any, group: str | None) -> Callable[[Any], Awaitable[RedisStreamMessage]]:
    """Hands entries over as they are: FastStream's own parser fails, and says nothing, where bytes are no text."""

    async def parse(raw: Any) -> RedisStreamMessage:
        return RedisStreamMessage(raw_message=raw, body=b"", consumer=client, group=group)

    return parse


async def lack(url: BrokerUrl, broker: RedisBroker) -> str:
    """Whether the group is read: FastStream ends a reader whose group is gone."""
    if all(subscriber.running for subscriber in broker.subscribers):
        return ""
    return f"has no group {url.options.get('group', url.name)} any more"


async def _make_group(client: Any, url: BrokerUrl, stream: str) -> None:
    """Makes the group where it begins; FastStream would have an old one read its own entries for ever."""
    start = "0" if url.options.get("start") == "all" else "$"
    try:
        await client.xgroup_create(stream, url.options.get("group", url.name), id=start, mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def _read(message: Any) -> Message:
    raw = message.raw_message
    held = dict(raw["data"])
    named = next((name for name in _BODIES if name in held), None)
    if _FASTSTREAM in held:
        body, headers = BinaryMessageFormatV1.parse(held[_FASTSTREAM])
    elif named is not None:
        body, headers = held.pop(named), texts(held)
    else:
        fields = {_text(name): _text(value) for name, value in held.items()}
        body, headers = json.dumps(fields, ensure_ascii=False).encode(), {}
    (entry,) = raw["message_ids"]
    return Message(
        body=body,
        headers=headers,
        content_type=headers.get("content-type", ""),
        subject=_text(raw["channel"]),
        identity=_text(entry),
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
