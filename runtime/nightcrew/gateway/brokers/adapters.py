"""Which adapter speaks to which broker; each is loaded when it is first needed, for FastStream is an extra."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, TypeAlias

from nightcrew.domain.broker.grammar import BrokerKind

Connect: TypeAlias = Callable[..., Awaitable[Any]]

_NEEDS: Final[Mapping[BrokerKind, str]] = {
    BrokerKind.NATS: "nats",
    BrokerKind.REDIS: "redis",
    BrokerKind.AMQP: "aio_pika",
    BrokerKind.MQTT: "zmqtt",
    BrokerKind.KAFKA: "aiokafka",
}


def installed(kind: BrokerKind) -> bool:
    """Whether what speaks to a kind of broker is installed."""
    return find_spec("faststream") is not None and find_spec(_NEEDS[kind]) is not None


def adapter(kind: BrokerKind) -> Connect:
    """The `connect` of a kind of broker."""
    connect: Connect = _module(kind).connect
    return connect


def keep(kind: BrokerKind, broker: Any) -> None:
    """Has the broker keep what comes from now on, where it would not by itself: the runtime comes back."""
    keeping: Callable[[Any], None] | None = getattr(_module(kind), "keep", None)
    if keeping is not None:
        keeping(broker)


async def alive(kind: BrokerKind, broker: Any, patience: float) -> bool:
    """Whether a broker answers, and still has what its subscribers read from."""
    if not await broker.ping(timeout=patience):
        return False
    if not all(subscriber.running for subscriber in broker.subscribers):
        return False  # one that met an error for good has stopped by itself
    look: Callable[[Any], Awaitable[bool]] | None = getattr(_module(kind), "alive", None)
    return look is None or await look(broker)


def _module(kind: BrokerKind) -> ModuleType:
    return import_module(f"nightcrew.gateway.brokers.{kind.value}")
