"""Stripe: `Stripe-Signature: t=…,v1=…` over the moment and the body; the body's `id` names the event."""

from collections.abc import Sequence
from datetime import datetime

from nightcrew.domain.errors import Unauthenticated
from nightcrew.domain.webhook.content import texts_in
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified, check_age, check_signatures, hex_hmac


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    """The proof of a request. Other versions than v1 are ignored: v0 is for tests and proves nothing.

    Raises:
        Unauthenticated: The header is missing or given twice, its moment is off, or no signature is right.
    """
    parts = [one.strip().partition("=") for one in headers.proof("stripe-signature").split(",")]
    moments = [value for name, _, value in parts if name == "t"]
    if len(moments) != 1:
        raise Unauthenticated("stripe-signature must have one t=")
    check_age(moments[0], now, field="the t of stripe-signature")
    content = moments[0].encode() + b"." + body
    check_signatures(
        [value for name, _, value in parts if name == "v1"],
        (hex_hmac(secret, content) for secret in secrets),
        field="stripe-signature",
    )
    (event,) = texts_in(body, "id")
    return Verified(deliveries=(f"id:{event}",) if event else ())
