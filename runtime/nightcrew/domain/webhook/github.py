"""GitHub: `X-Hub-Signature-256` over the body, and `X-GitHub-Delivery`, which the signature does not cover."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified, check_signatures, hex_hmac

_VERSION: Final = "sha256="


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    """The proof of a request; no moment is signed, so a body that was seen is a repetition whatever its headers say.

    Raises:
        Unauthenticated: The signature is missing, given twice or wrong.
        InvalidArgument: The delivery is named twice.
    """
    del now
    given = headers.proof("x-hub-signature-256")
    check_signatures(
        [given.removeprefix(_VERSION)] if given.startswith(_VERSION) else [],
        (hex_hmac(secret, body) for secret in secrets),
        field="x-hub-signature-256",
    )
    delivery = headers.single("x-github-delivery")
    same_body = f"body:{hashlib.sha256(body).hexdigest()}"
    return Verified(deliveries=(f"id:{delivery}", same_body) if delivery else (same_body,))
