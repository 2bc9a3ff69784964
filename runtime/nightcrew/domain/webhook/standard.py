"""Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature` (standardwebhooks.com).

Its own library reads the wall clock and knows one secret at a time, so the few lines are here.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified, check_age, check_signatures

PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    """The proof of a request.

    Raises:
        Unauthenticated: A header is missing or given twice, the moment is off, or no signature is right.
    """
    delivery, moment = headers.proof("webhook-id"), headers.proof("webhook-timestamp")
    check_age(moment, now, field="webhook-timestamp")
    content = b".".join((delivery.encode("latin-1"), moment.encode(), body))
    given = headers.proof("webhook-signature").split(" ")
    check_signatures(
        [one.removeprefix(_VERSION) for one in given if one.startswith(_VERSION)],
        (
            base64.b64encode(hmac.digest(key, content, "sha256"))
            for secret in secrets
            for key in keys_of(secret)
        ),
        field="webhook-signature",
    )
    return Verified(deliveries=(f"id:{delivery}",))


def keys_of(secret: str) -> tuple[bytes, ...]:
    """What a secret may stand for: what its base64 says, and, where `whsec_` does not say so, the text itself."""
    try:
        decoded = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    plain = b"" if secret.startswith(PREFIX) else secret.encode()
    return tuple(key for key in (decoded, plain) if key)


def flaw(secret: str) -> str:
    """Why it is no secret of this scheme; an empty string if it is one."""
    return "" if keys_of(secret) else f"after {PREFIX} comes base64 (24 to 64 bytes are usual)"
