"""One attempt to deliver one event: rendered, signed, sent, and its answer read."""

from typing import Final

from nightcrew.domain.delivery import Tried
from nightcrew.domain.errors import SecretUnavailable
from nightcrew.domain.event import Event
from nightcrew.domain.retry_after import rest_after
from nightcrew.domain.secrets import resolved, resolved_all, without
from nightcrew.domain.spec.outbound import OutboundHook, signing_key
from nightcrew.keepers.outbound.message import message_of, signature, webhook_id
from nightcrew.ports.clock import Clock
from nightcrew.ports.outbound import Answer, AnswerTooLarge, OutboundFailed, OutboundRefused, Outgoing, WayOut
from nightcrew.ports.secrets import Secrets

_MAX_ANSWER: Final = 64 * 1024
_EXCERPT: Final = 200
_GOOD: Final = range(200, 300)


class Sender:
    """Sends events; an attempt that fails is an answer, not an error.

    Args:
        way_out: Where requests go out.
        secrets: Gives what `${secret:NAME}` stands for, at each attempt anew.
        clock: Dates signatures.
        agent: The User-Agent.
    """

    def __init__(self, *, way_out: WayOut, secrets: Secrets, clock: Clock, agent: str) -> None:
        self._way_out = way_out
        self._secrets = secrets
        self._clock = clock
        self._agent = agent

    async def send(self, hook: OutboundHook, event: Event, *, incarnation: str) -> Tried:
        """Tries to deliver an event to a hook, once."""
        hidden: list[str] = []

        def named(name: str) -> str:
            hidden.append(self._secrets.named(name))
            return hidden[-1]

        try:
            secret = resolved(hook.secret, named)
            signing_key(secret)
            url, headers = resolved(hook.url, named), resolved_all(hook.headers, named)
        except SecretUnavailable as error:
            return Tried(reason=error.message)
        except ValueError as error:
            return Tried(reason=f"the secret {error}")
        try:
            message = message_of(event, hook.mode)
        except ValueError as error:
            return Tried(reason=f"the event is no CloudEvent: {error}")
        message_id = webhook_id(event, incarnation)
        signed = signature(message.body, secret=secret, message_id=message_id, now=self._clock.now())
        request = Outgoing(
            method="POST",
            url=url,
            headers={"user-agent": self._agent, **headers, **message.headers, **signed},
            body=message.body,
            timeout=hook.timeout.total_seconds(),
            max_bytes=_MAX_ANSWER,
        )
        return self._tried(await self._answer(request), hidden)

    async def _answer(self, request: Outgoing) -> Answer | str:
        try:
            return await self._way_out.send(request)
        except (OutboundRefused, OutboundFailed, AnswerTooLarge) as error:
            return error.message

    def _tried(self, answer: Answer | str, hidden: list[str]) -> Tried:
        if isinstance(answer, str):
            return Tried(reason=without(answer, hidden))
        excerpt = ""
        if answer.status not in _GOOD:
            excerpt = without(answer.body[: 4 * _EXCERPT].decode("utf-8", "replace"), hidden).strip()[
                :_EXCERPT
            ]
        rest = rest_after(answer.status, answer.headers.get("retry-after"), now=self._clock.now())
        return Tried(status=answer.status, reason=excerpt, rest=rest)
