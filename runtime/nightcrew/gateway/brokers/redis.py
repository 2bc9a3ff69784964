"""Redis streams: a consumer group; what was handed over and never acknowledged is claimed again."""

import json
from typing import Any, Final

from faststream.redis import RedisBroker, StreamSub
from redis.exceptions import ResponseError

from nightcrew.domain.broker.message import Message
from nightcrew.domain.broker.url import BrokerUrl
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe

CLAIM_AFTER: Final = 15_000
"""Milliseconds after which an entry that was not acknowledged is taken anew: its reader has died."""
_BODIES: Final = ("data", "body", "payload", "message")
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
    await _make_group(await broker.connect(), url, stream)
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
        subscriber = broker.subscriber(stream=sub, max_workers=IN_FLIGHT, **MANUAL)
        subscribe(subscriber, take, _read)
    return broker


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
    fields = {_text(name): _text(value) for name, value in raw["data"].items()}
    named = next((name for name in _BODIES if name in fields), "")
    if named:
        body = fields.pop(named).encode()
    else:
        body = json.dumps(fields, ensure_ascii=False).encode()
        fields = {}
    (entry,) = raw["message_ids"]
    return Message(
        body=body,
        headers=fields,
        content_type=fields.get("content-type", ""),
        subject=_text(raw["channel"]),
        identity=_text(entry),
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
