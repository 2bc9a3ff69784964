"""Slack: `X-Slack-Signature` over the moment and the body; `event_id` names the event, and a challenge is answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from nightcrew.domain.webhook.content import texts_in
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified, check_age, check_signatures, hex_hmac

_VERSION: Final = "v0="


def verify(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    """The proof of a request.

    Raises:
        Unauthenticated: A header is missing or given twice, the moment is off, or the signature is wrong.
    """
    moment = headers.proof("x-slack-request-timestamp")
    check_age(moment, now, field="x-slack-request-timestamp")
    given = headers.proof("x-slack-signature")
    content = b"v0:" + moment.encode() + b":" + body
    check_signatures(
        [given.removeprefix(_VERSION)] if given.startswith(_VERSION) else [],
        (hex_hmac(secret, content) for secret in secrets),
        field="x-slack-signature",
    )
    kind, challenge, event = texts_in(body, "type", "challenge", "event_id")
    if kind == "url_verification" and challenge:
        return Verified(challenge=challenge)
    return Verified(deliveries=(f"id:{event}",) if event else ())
