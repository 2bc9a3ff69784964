"""What every broker's adapter is given and gives: FastStream's broker with one subscriber that hands messages over."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from faststream import AckPolicy
from faststream.security import BaseSecurity, SASLPlaintext

from nightcrew.domain.broker.message import Message
from nightcrew.gateway.brokers.access import Access

IN_FLIGHT: Final = 100
"""Messages that a broker may have handed over and not had acknowledged: they share a commit."""

Take: TypeAlias = Callable[[Message], Awaitable[bool]]
"""Takes a message; True once it is on disk (or is unfit for ever), False if the broker is to keep it."""

OPTIONS: Final[dict[str, Any]] = {"apply_types": False, "logger": None}
"""Of every FastStream broker: handlers are called as they are, and nothing is logged by it."""


def security(access: Access) -> BaseSecurity | None:
    """Credentials and TLS as FastStream takes them."""
    if access.user or access.password:
        return SASLPlaintext(username=access.user, password=access.password, use_ssl=access.url.tls)
    return BaseSecurity(use_ssl=True) if access.url.tls else None


async def whole(message: Any) -> Any:
    """A decoder that decodes nothing: handlers are given the message itself."""
    return message


def subscribe(subscriber: Any, take: Take, read: Callable[[Any], Message]) -> None:
    """Has a subscriber hand its messages over, and acknowledge each when it was taken."""

    async def handle(message: Any) -> None:
        if await take(read(message)):
            await message.ack()
        # What was not taken is left as it is: refused at once, it would come at once again while we drain.

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
