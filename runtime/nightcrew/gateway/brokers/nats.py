"""NATS JetStream: a durable pull consumer on the stream that holds the subject."""

import asyncio
import json
from typing import Any, Final

from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.security import NatsToken
from faststream.security import BaseSecurity
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from nightcrew.domain.broker.message import Message
from nightcrew.domain.broker.url import BrokerUrl
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe, texts

ACK_WAIT: Final = 15
"""Seconds after which a message that was not acknowledged comes again: its reader has died."""


async def connect(access: Access, take: Take) -> NatsBroker:
    """A connected broker with one subscriber, not started.

    Raises:
        LookupError: No stream holds the subject.
    """
    url = access.url
    if url.tls:
        await _offers_tls(access)
    broker = NatsBroker(
        f"nats://{access.address}",
        security=_security(access),
        # A connection that is closed has FastStream's reader ask it again and again without ever giving the loop
        # back; one that is being made anew has it wait. We notice that it is gone and close it ourselves.
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        connect_timeout=5,
        error_cb=_quiet,
        **OPTIONS,
    )
    (subject,) = url.place
    stream = url.options.get("stream", "")
    durable = url.options.get("durable", url.name)
    start = DeliverPolicy.ALL if url.options.get("start") == "all" else DeliverPolicy.NEW
    try:
        declared = await _stream((await broker.connect()).jetstream(), subject, stream)
    except BaseException:
        await broker.stop()
        raise
    subscriber = broker.subscriber(
        subject,
        stream=declared,
        durable=durable,
        config=ConsumerConfig(
            durable_name=durable, deliver_policy=start, ack_wait=ACK_WAIT, max_ack_pending=10 * IN_FLIGHT
        ),
        pull_sub=PullSub(batch_size=IN_FLIGHT, timeout=1.0),
        **MANUAL,
    )
    subscribe(subscriber, take, _read)
    return broker


async def _offers_tls(access: Access) -> None:
    """Whether the server wants TLS: its client goes on in the clear, password and all, with one that does not.

    Raises:
        ConnectionError: It does not, or is no NATS server.
    """
    reader, writer = await asyncio.open_connection(access.host, access.url.port)
    try:
        said = (await reader.readline()).partition(b" ")[2]
    finally:
        writer.close()
    if not json.loads(said or b"{}").get("tls_required"):
        raise ConnectionError("the server offers no TLS")


async def _stream(streams: Any, subject: str, name: str) -> JStream:
    """The stream, as it is; one that the URL names is made if there is none.

    Raises:
        LookupError: None is named, and none has the subject.
    """
    try:
        if not name:
            return JStream(await streams.find_stream_name_by_subject(subject), declare=False)
        await streams.stream_info(name)
    except NotFoundError:
        if not name:
            what = f"no JetStream stream holds the subject {subject!r}; ?stream=NAME has one made"
            raise LookupError(what) from None
        await streams.add_stream(name=name, subjects=[subject])
    return JStream(name, declare=False)


async def lack(url: BrokerUrl, broker: NatsBroker) -> str:
    """Whether the consumer is there: requests to one that is not are answered by nobody."""
    (subscriber,) = broker.subscribers
    name = url.options.get("durable", url.name)
    try:
        await broker.connection.jetstream().consumer_info(subscriber.stream.name, name)  # type: ignore[attr-defined]
    except NotFoundError:
        return f"has no consumer {name} any more"
    return ""


async def drop(broker: NatsBroker) -> None:
    """Ends a connection that tries to come back."""
    for subscriber in broker.subscribers:
        subscriber.running = False
    await broker.connection.close()


async def _quiet(_error: Exception) -> None:
    """What it tells of is seen: the source looks whether the broker answers."""


def _read(message: Any) -> Message:
    raw = message.raw_message
    stood = raw.metadata
    headers = texts(message.headers)
    return Message(
        body=message.body,
        headers=headers,
        content_type=next((value for name, value in headers.items() if name.lower() == "content-type"), ""),
        subject=raw.subject,
        # A stream that is made anew counts from 1 again: its messages are others, as their times tell.
        identity=f"{stood.stream}/{stood.sequence.stream}/{stood.timestamp.timestamp():.6f}",
    )


def _security(access: Access) -> BaseSecurity | None:
    given = security(access)
    if given is not None and access.user and not access.password:
        return NatsToken(access.user, ssl_context=given.ssl_context, use_ssl=given.use_ssl)
    return given
