"""The schemes by their names: how each verifies, and what its secrets must be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.domain.secrets import flaw as reference_flaw
from nightcrew.domain.secrets import refers
from nightcrew.domain.spec.trigger import Webhook, WebhookScheme
from nightcrew.domain.values import flaw as json_flaw
from nightcrew.domain.webhook import bearer, github, slack, standard, stripe
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified

MAX_SECRETS: Final = 10
MAX_SECRET: Final = 1024


def _any(secret: str) -> str:
    del secret
    return ""


def _unproven(headers: Headers, body: bytes, secrets: Sequence[str], now: datetime) -> Verified:
    del body, secrets, now
    return bearer.named(headers)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a sender proves itself.

    Attributes:
        verify: The proof of a request: over (headers, raw body, secrets, now); raises Unauthenticated.
        flaw: Why a text is no secret of the scheme; an empty string if it is one.
    """

    verify: Callable[[Headers, bytes, Sequence[str], datetime], Verified]
    flaw: Callable[[str], str] = _any


SCHEMES: Final[Mapping[WebhookScheme, Scheme]] = {
    WebhookScheme.STANDARD: Scheme(standard.verify, standard.flaw),
    WebhookScheme.GITHUB: Scheme(github.verify),
    WebhookScheme.STRIPE: Scheme(stripe.verify),
    WebhookScheme.SLACK: Scheme(slack.verify),
    WebhookScheme.BEARER: Scheme(bearer.verify, bearer.flaw),
    WebhookScheme.NONE: Scheme(_unproven),
}


def effective(webhook: Webhook) -> WebhookScheme:
    """The scheme of a hook, which is Standard Webhooks if none is said."""
    return WebhookScheme.STANDARD if webhook.scheme is WebhookScheme.UNSPECIFIED else webhook.scheme


def secret_flaw(webhook: Webhook) -> str:
    """What is wrong with the secrets that are given, without showing one; an empty string if nothing is."""
    scheme = effective(webhook)
    if scheme is WebhookScheme.NONE:
        return "SCHEME_NONE asks nobody for proof and takes no secrets" if webhook.secrets else ""
    if len(webhook.secrets) > MAX_SECRETS:
        return f"at most {MAX_SECRETS} are valid at once, given {len(webhook.secrets)}"
    for number, secret in enumerate(webhook.secrets):
        # What a reference stands for is known when the hook is called.
        why = reference_flaw(secret) if refers(secret) else flaw_of(scheme, secret)
        if why:
            return f"number {number + 1}: {why}"
    return ""


def flaw_of(scheme: WebhookScheme, secret: str) -> str:
    """Why a text is no secret of a scheme; an empty string if it is one."""
    if not 0 < len(secret) <= MAX_SECRET or json_flaw(secret):
        return f"a secret is text of 1 to {MAX_SECRET} characters"
    return SCHEMES[scheme].flaw(secret)
