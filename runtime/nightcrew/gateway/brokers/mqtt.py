"""MQTT: a session that the broker keeps, so that what comes while nobody listens is not lost (QoS 1 and 2)."""

from typing import Any, Final

from faststream.mqtt import MQTTBroker, QoS

from nightcrew.domain.broker.message import Message
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.broker import IN_FLIGHT, MANUAL, OPTIONS, Take, security, subscribe, texts
from nightcrew.gateway.brokers.identity import Identities

SESSION: Final = 7 * 24 * 3600
"""Seconds that a broker keeps the session of a runtime that is away."""


async def connect(access: Access, take: Take) -> MQTTBroker:
    """A broker with one subscriber, not started."""
    url = access.url
    broker = MQTTBroker(
        host=access.host,
        port=url.port,
        client_id=url.options.get("client_id", url.name),
        clean_session=False,
        session_expiry_interval=SESSION,
        receive_maximum=IN_FLIGHT,
        keepalive=10,
        version="5.0",
        security=security(access),
        reconnect=None,
        **OPTIONS,
    )
    identities = Identities(by_body=url.options.get("dedupe") == "body")
    (topic,) = url.place
    subscriber = broker.subscriber(
        topic, qos=QoS(int(url.options.get("qos", "1"))), max_workers=IN_FLIGHT, **MANUAL
    )

    def read(message: Any) -> Message:
        return Message(
            body=message.body,
            headers=texts(message.headers),
            content_type=message.content_type or "",
            subject=message.raw_message.topic,
            identity=identities.of(message.body, ""),
        )

    subscribe(subscriber, take, read)
    return broker


def keep(broker: MQTTBroker) -> None:
    """Has the broker keep the session when the connection is closed: FastStream would unsubscribe from it."""
    for subscriber in broker.subscribers:
        subscriber._subscription = None  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public keeps it
