"""Which adapter speaks to which broker; each is loaded when it is first needed, for FastStream is an extra."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final, TypeAlias

from nightcrew.domain.broker.grammar import BrokerKind
from nightcrew.domain.broker.url import BrokerUrl

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


async def lack(url: BrokerUrl, broker: Any) -> str:
    """Why no messages come though the broker answers (what they come from was removed); empty if they do."""
    lacking: Callable[[BrokerUrl, Any], Awaitable[str]] | None = getattr(_module(url.kind), "lack", None)
    return "" if lacking is None else await lacking(url, broker)


async def drop(kind: BrokerKind, broker: Any) -> None:
    """Ends a connection that was not closed in order, where it would come back by itself."""
    dropping: Callable[[Any], Awaitable[None]] | None = getattr(_module(kind), "drop", None)
    if dropping is not None:
        await dropping(broker)


def _module(kind: BrokerKind) -> ModuleType:
    return import_module(f"nightcrew.gateway.brokers.{kind.value}")
