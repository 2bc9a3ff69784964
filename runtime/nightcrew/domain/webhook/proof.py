"""What the schemes share: what a proof gives, signatures in constant time, and the age of what was signed."""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.domain.errors import Unauthenticated

TOLERANCE: Final = 300
"""Seconds that a signed moment may lie from now, both ways: longer, and a request could be sent again later."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A request whose sender is who it should be.

    Attributes:
        deliveries: What the delivery is known by. One that was seen makes it a repetition; none: nothing can.
        challenge: What is to be answered at once, in place of an execution (Slack asks for it once).
    """

    deliveries: tuple[str, ...] = ()
    challenge: str | None = None


def check_age(seconds: str, now: datetime, *, field: str) -> None:
    """Whether a signed moment is near enough to now.

    Args:
        seconds: Whole seconds since 1970, as the sender wrote them.
        now: The moment now.
        field: The header, to be named.

    Raises:
        Unauthenticated: It is not, or is no moment.
    """
    if not _SECONDS.fullmatch(seconds):
        raise Unauthenticated(f"{field} must be whole seconds since 1970")
    if abs(now.timestamp() - int(seconds)) > TOLERANCE:
        raise Unauthenticated(f"{field} is more than {TOLERANCE} s off; is the sender's clock right?")


def hex_hmac(secret: str, content: bytes) -> bytes:
    """HMAC-SHA256 under a secret that is text, in hexadecimal."""
    return hmac.digest(secret.encode(), content, "sha256").hex().encode()


def check_signatures(given: Sequence[str], expected: Iterable[bytes], *, field: str) -> None:
    """Whether one of the signatures is one of those that are expected.

    Raises:
        Unauthenticated: None is.
    """
    found = [one.encode("latin-1", "replace") for one in given]
    matches = [hmac.compare_digest(right, one) for right in expected for one in found]
    if not any(matches):
        raise Unauthenticated(f"no signature in {field} is right for this body and this secret")
