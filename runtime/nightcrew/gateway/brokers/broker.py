"""What every broker's adapter is given and gives: FastStream's broker with one subscriber that hands messages over."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from faststream import AckPolicy
from faststream.security import BaseSecurity, SASLPlaintext

from nightcrew.domain.broker.message import Message
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.verdict import Verdict

IN_FLIGHT: Final = 100
"""Messages that a broker may have handed over and not had acknowledged: they share a commit."""

Take: TypeAlias = Callable[[Message], Awaitable[Verdict]]
"""Takes a message; returns once it is known what becomes of it."""

OPTIONS: Final[dict[str, Any]] = {"apply_types": False, "logger": None, "graceful_timeout": 2.0}
"""Of every FastStream broker: handlers are called as they are, and nothing is logged by it."""


def security(access: Access) -> BaseSecurity | None:
    """Credentials and TLS as FastStream takes them."""
    # Without a context some clients take `use_ssl` for a wish, and go on in the clear.
    context = ssl.create_default_context() if access.url.tls else None
    if access.user or access.password:
        return SASLPlaintext(access.user, access.password, ssl_context=context, use_ssl=access.url.tls)
    return BaseSecurity(ssl_context=context) if context else None


async def whole(message: Any) -> Any:
    """A decoder that decodes nothing: handlers are given the message itself."""
    return message


def subscribe(
    subscriber: Any, take: Take, read: Callable[[Any], Message], *, sets_aside: bool = True
) -> None:
    """Has a subscriber hand its messages over, and acknowledge each when it was taken.

    Args:
        subscriber: FastStream's.
        take: Takes a message.
        read: Makes one of FastStream's.
        sets_aside: Whether the broker has a way to be told that a message is unfit; else it is acknowledged.
    """

    async def handle(message: Any) -> None:
        match await take(read(message)):
            case Verdict.TAKEN:
                await message.ack()
            case Verdict.UNFIT if sets_aside:
                await message.reject()
            case Verdict.UNFIT:
                await message.ack()
            case Verdict.LEFT:
                pass  # refused at once, it would come at once again while we drain

    subscriber(handle)


MANUAL: Final[dict[str, Any]] = {"ack_policy": AckPolicy.MANUAL, "decoder": whole, "no_reply": True}
"""Of every subscriber: nothing is acknowledged before we say so."""


def texts(headers: Any) -> dict[str, str]:
    """Headers that are text, or numbers; the others are left out."""
    out = {}
    for name, value in dict(headers or {}).items():
        if isinstance(value, bytes):
            value = value.decode(errors="replace")  # noqa: PLW2901 - the same, read
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            out[str(name)] = str(value)
    return out
