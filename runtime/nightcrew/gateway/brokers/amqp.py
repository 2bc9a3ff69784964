"""RabbitMQ: a durable queue, bound to an exchange if one is named."""

from typing import Any

from faststream.rabbit import Channel, RabbitBroker, RabbitExchange, RabbitQueue

from nightcrew.domain.broker.message import Message
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe, texts
from nightcrew.gateway.brokers.identity import Identities


async def connect(access: Access, take: Take) -> RabbitBroker:
    """A connected broker with one subscriber, not started."""
    url = access.url
    virtual_host = url.place[0] if len(url.place) > 1 else "/"
    broker = RabbitBroker(
        host=access.host,
        port=url.port,
        virtualhost=virtual_host,
        security=security(access),
        default_channel=Channel(prefetch_count=IN_FLIGHT),
        **OPTIONS,
    )
    identities = Identities(by_body=url.options.get("dedupe") == "body")
    exchange = url.options.get("exchange", "")
    subscriber = broker.subscriber(
        RabbitQueue(url.place[-1], durable=True, routing_key=url.options.get("routing_key", "")),
        RabbitExchange(exchange, declare=False) if exchange else None,
        **MANUAL,
    )

    def read(message: Any) -> Message:
        raw = message.raw_message
        return Message(
            body=raw.body,
            headers=texts(raw.headers),
            content_type=raw.content_type or "",
            subject=raw.routing_key or "",
            identity=identities.of(raw.body, raw.message_id or ""),
        )

    subscribe(subscriber, take, read)
    return broker
