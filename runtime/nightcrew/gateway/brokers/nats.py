"""NATS JetStream: a durable pull consumer on the stream that holds the subject."""

from typing import Any, Final

from faststream.nats import JStream, NatsBroker, PullSub
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from nightcrew.domain.broker.message import Message
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
    broker = NatsBroker(
        f"nats://{access.address}",
        security=security(access) if access.password or not access.user else None,
        token=access.user if access.user and not access.password else None,
        # A connection that is closed has FastStream's reader ask it again and again without ever giving the loop
        # back; one that is being made anew has it wait. We notice that it is gone and close it ourselves.
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        connect_timeout=5,
        **OPTIONS,
    )
    connection = await broker.connect()
    (subject,) = url.place
    stream = url.options.get("stream", "")
    durable = url.options.get("durable", url.name)
    start = DeliverPolicy.ALL if url.options.get("start") == "all" else DeliverPolicy.NEW
    if not stream:
        try:
            stream = await connection.jetstream().find_stream_name_by_subject(subject)
        except NotFoundError:
            await broker.stop()
            raise LookupError(
                f"no JetStream stream holds the subject {subject!r}; ?stream=NAME has one made"
            ) from None
        declared = JStream(stream, declare=False)
    else:
        declared = JStream(stream, subjects=[subject])
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


async def alive(broker: NatsBroker) -> bool:
    """Whether the consumers are still there: one that was deleted brings nothing, and says nothing."""
    connection = await broker.connect()
    try:
        for subscriber in broker.subscribers:
            options = subscriber.extra_options  # type: ignore[attr-defined]  # every one is a stream's
            await connection.jetstream().consumer_info(options["stream"], options["durable"])
    except NotFoundError:
        return False
    return True


def _read(message: Any) -> Message:
    raw = message.raw_message
    place = raw.metadata
    headers = texts(message.headers)
    return Message(
        body=message.body,
        headers=headers,
        content_type=next((value for name, value in headers.items() if name.lower() == "content-type"), ""),
        subject=raw.subject,
        # With its time: a stream that is deleted and made again counts from 1 again.
        identity=f"{place.stream}/{place.sequence.stream}/{place.timestamp.timestamp():.6f}",
    )
