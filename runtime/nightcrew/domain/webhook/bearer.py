"""A bearer token in `Authorization`; a sender that may repeat itself names the delivery in `Idempotency-Key`."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.errors import Unauthenticated
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified

_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    """The proof of a request.

    Raises:
        Unauthenticated: The token is missing, given twice or wrong.
        InvalidArgument: The delivery is named twice.
    """
    del body, now
    kind, _, token = headers.proof("authorization").partition(" ")
    if kind.lower() != "bearer":
        raise Unauthenticated("authorization must be a Bearer token")
    # Digests: of texts that differ in length, a comparison would tell the length.
    given = _digest(token.strip())
    matches = [hmac.compare_digest(_digest(secret), given) for secret in secrets]
    if not any(matches):
        raise Unauthenticated("the token in authorization is not a right one")
    return named(headers)


def named(headers: Headers) -> Verified:
    """What a request without a signature says of itself.

    Raises:
        InvalidArgument: The delivery is named twice.
    """
    delivery = headers.single("idempotency-key")
    return Verified(deliveries=(f"id:{delivery}",) if delivery else ())


def flaw(secret: str) -> str:
    """Why it is no token; an empty string if it is one."""
    return "" if _SENDABLE.fullmatch(secret) else "a token is of visible ASCII characters, without spaces"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
