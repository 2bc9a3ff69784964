"""Outbound hooks as nightcrew.toml has them: where the runtime's events go, which of them, and how they are signed."""

import base64
import binascii
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field, field_validator

from nightcrew.domain.durations import Duration
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.event_filter import Facts, compile_filter
from nightcrew.domain.secrets import flaw, refers
from nightcrew.domain.spec.base import Spec
from nightcrew.domain.spec.program import check_headers
from nightcrew.domain.web_address import web_address
from nightcrew.domain.webhook.standard import PREFIX

SCHEDULE: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""The waits between attempts (Standard Webhooks, Deliverability and reliability): ten attempts in over three days."""
_KEY_BYTES: Final = range(24, 65)
_SIGNED: Final = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"})


class OutboundMode(StrEnum):
    """How a CloudEvent is put into a request: all of it in the body, or its attributes in headers."""

    STRUCTURED = "structured"
    BINARY = "binary"


class OutboundHook(Spec):
    """One table [[outbound]].

    Attributes:
        name: A slug of its own: how far the hook has got is kept under it.
        url: http or https; `${secret:NAME}` may stand in its path or query.
        types: Event types, or beginnings of them with a `*` at the end.
        filter: In CEL over `event`, as an event trigger's; empty is every event of the types.
        secret: Signs what is sent: `whsec_` and base64 of 24 to 64 bytes, or `${secret:NAME}`.
        mode: structured or binary.
        headers: More headers; `${secret:NAME}` may stand in their values.
        schedule: The waits between attempts.
        max_attempts: Attempts at most; by default one more than there are waits. Past the last wait it repeats.
        timeout: How long to wait for an answer.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    url: str
    types: tuple[str, ...] = Field(min_length=1, max_length=100)
    filter: str = ""
    secret: str = Field(repr=False)
    mode: OutboundMode = OutboundMode.STRUCTURED
    headers: dict[str, str] = Field(default_factory=dict)
    schedule: tuple[Duration, ...] = Field(default=SCHEDULE, min_length=1, max_length=50)
    max_attempts: int | None = Field(default=None, ge=1, le=100)
    timeout: Duration = timedelta(seconds=20)

    @field_validator("url")
    @classmethod
    def _callable(cls, url: str) -> str:
        web_address(url)
        _check_references(url)
        return url

    @field_validator("types")
    @classmethod
    def _patterns(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for one in types:
            if not one or "*" in one[:-1]:
                raise ValueError(f"{one!r} is no event type; a `*` may stand at its end only")
        return types

    @field_validator("filter")
    @classmethod
    def _compiles(cls, text: str) -> str:
        if text:
            try:
                compile_filter(text)
            except InvalidArgument as error:
                raise ValueError("; ".join(one.description for one in error.violations)) from None
        return text

    @field_validator("secret")
    @classmethod
    def _key(cls, secret: str) -> str:
        if refers(secret):
            _check_references(secret)
        else:
            signing_key(secret)
        return secret

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        check_headers(headers)
        for name, value in headers.items():
            if name.lower() in _SIGNED or name.lower().startswith("ce-"):
                raise ValueError(f"{name} is set by the runtime")
            _check_references(value)
        return headers

    @field_validator("schedule")
    @classmethod
    def _waits(cls, schedule: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(wait <= timedelta(0) for wait in schedule):
            raise ValueError("must hold waits of more than 0s")
        return schedule

    @field_validator("timeout")
    @classmethod
    def _some(cls, timeout: timedelta) -> timedelta:
        if timeout <= timedelta(0):
            raise ValueError("must be more than 0s")
        return timeout

    def wants(self, event: Event) -> bool:
        """Whether an event is sent to it.

        Raises:
            FilterError: The filter can't be evaluated over it.
        """
        kind = event.type
        if not any(kind.startswith(one[:-1]) if one.endswith("*") else kind == one for one in self.types):
            return False
        return not self.filter or compile_filter(self.filter).holds(Facts(event))

    @property
    def attempts(self) -> int:
        """`max_attempts`, its default resolved."""
        return self.max_attempts or len(self.schedule) + 1


def signing_key(secret: str) -> bytes:
    """The key of a Standard Webhooks secret; ValueError says what would be right, and not what was given."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in _KEY_BYTES:
        raise ValueError(
            f"must be {PREFIX} and base64 of {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes,"
            " or ${secret:NAME}"
        )
    return key


def _check_references(text: str) -> None:
    if why := flaw(text):
        raise ValueError(why)
