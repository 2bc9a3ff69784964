"""Kafka: a consumer group; one message at a time, for an acknowledgement says that all before it are done."""

from typing import Any

from faststream.kafka import KafkaBroker

from nightcrew.domain.broker.message import Message
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import MANUAL, OPTIONS, Take, security, subscribe, texts


async def connect(access: Access, take: Take) -> KafkaBroker:
    """A broker with one subscriber, not started."""
    url = access.url
    broker = KafkaBroker(access.address, security=security(access), **OPTIONS)
    (topic,) = url.place
    subscriber = broker.subscriber(
        topic,
        group_id=url.options.get("group", url.name),
        auto_offset_reset="earliest" if url.options.get("start") == "all" else "latest",
        **MANUAL,
    )
    subscribe(subscriber, take, _read)
    return broker


def _read(message: Any) -> Message:
    raw = message.raw_message
    return Message(
        body=raw.value or b"",
        headers=texts(message.headers),
        content_type=message.content_type or "",
        subject=raw.topic,
        # A topic that is made anew counts from 0 again.
        identity=f"{raw.topic}/{raw.partition}/{raw.offset}/{raw.timestamp}",
    )
