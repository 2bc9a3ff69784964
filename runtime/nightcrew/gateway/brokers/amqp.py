"""RabbitMQ: a queue as it is, or a durable one where there is none, bound to an exchange if one is named."""

import asyncio
import contextlib
from typing import Any, Final

from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from nightcrew.domain.broker.message import Message
from nightcrew.domain.broker.url import BrokerUrl
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe, texts
from nightcrew.gateway.brokers.identity import Identities

DROP_PATIENCE: Final = 1.0


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
    try:
        connection = await broker.connect()
        await _prepare(connection, url.place[-1], url.options)
    except BaseException:
        await broker.stop()
        raise
    identities = Identities(by_body=url.options.get("dedupe") == "body")
    subscriber = broker.subscriber(RabbitQueue(url.place[-1], declare=False), **MANUAL)

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


async def _prepare(connection: Any, name: str, options: Any) -> None:
    """Has the queue be there: one of any kind is taken as it is, for to declare it otherwise would be refused."""
    channel = await connection.channel()
    try:
        queue = await channel.declare_queue(name, passive=True)
    except ChannelNotFoundEntity:
        channel = await connection.channel()
        queue = await channel.declare_queue(name, durable=True)
    if exchange := options.get("exchange"):
        await queue.bind(exchange, routing_key=options.get("routing_key", name))
    await channel.close()


async def lack(url: BrokerUrl, broker: RabbitBroker) -> str:
    """Whether the queue is there and read: a consumer ends with its queue, and says nothing."""
    channel = await (await broker.connect()).channel()
    try:
        queue = await channel.declare_queue(url.place[-1], passive=True)
    except ChannelNotFoundEntity:
        return "has no such queue any more"
    await channel.close()
    return "" if queue.declaration_result.consumer_count else "reads no queue any more"


async def drop(broker: RabbitBroker) -> None:
    """Ends the connection, which would else come back by itself, and read the queue beside its successor."""
    connection = await broker.connect()
    with contextlib.suppress(TimeoutError, AMQPError, OSError):
        async with asyncio.timeout(DROP_PATIENCE):
            await connection.close()
