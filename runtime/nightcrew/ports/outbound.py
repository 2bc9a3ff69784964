"""The one way out as a port: an HTTP request to an address that was checked, its answer within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.values import MAX_VALUE_BYTES

CONNECT: Final = "connect"
TIMEOUT: Final = "timeout"
BROKEN: Final = "broken"


class OutboundRefused(NightcrewError):  # noqa: N818 - named like the domain's errors
    """Nothing was sent: the runtime does not connect to there, and trying again would not help."""

    code = "address_refused"


class OutboundFailed(NightcrewError):  # noqa: N818
    """No answer came; it may help to try again.

    Args:
        message: What happened.
        reason: `connect` (nothing was sent), `timeout` or `broken` (it may have arrived all the same).
    """

    code = "outbound_failed"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AnswerTooLarge(NightcrewError):  # noqa: N818
    """An answer came, but is longer than it may be; the rest of it was not read."""

    code = "answer_too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request to the outside.

    Attributes:
        method: In capitals.
        url: http or https.
        headers: Sent as they are, beside Host and Content-Length; to another origin none of them is sent but
            those that tell the body's form.
        body: Its bytes, or None.
        timeout: Seconds for all of it, redirects included; None is no limit but 10 s for each connection.
        max_bytes: What the answer's body may hold.
        redirects: How many are followed; with 0 the redirect is the answer.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float | None = None
    max_bytes: int = MAX_VALUE_BYTES
    redirects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WayOut(Protocol):
    """Sends requests to the outside."""

    async def send(self, request: Outgoing) -> Answer:
        """Sends one request; cancelled, it closes the connection.

        Raises:
            OutboundRefused: The URL, an address of its host or a redirect is not allowed.
            OutboundFailed: No answer came.
            AnswerTooLarge: The answer is over `max_bytes`.
        """
