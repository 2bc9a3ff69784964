"""The use case of webhooks: a request whose sender is proven becomes one execution, however often it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import structlog

from nightcrew.crew.admission import admit_one
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.intake import Work
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import NotFound, SecretUnavailable, Unauthenticated, Unavailable
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.lifecycle.agent import check_webhook
from nightcrew.domain.secrets import resolved
from nightcrew.domain.spec.trigger import WebhookScheme
from nightcrew.domain.values import JsonObject
from nightcrew.domain.webhook.content import MAX_INPUT, webhook_input
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified
from nightcrew.domain.webhook.schemes import SCHEMES, effective, flaw_of
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.secrets import Secrets
from nightcrew.ports.store import Transaction
from nightcrew.services.guard import Guard

KEPT: Final = timedelta(days=7)
"""How long a delivery gets its first answer (semantics.md, Webhooks)."""
_KNOWN: Final = 4096
_TRIES: Final = 8

_Version: TypeAlias = tuple[datetime, int]
_Key: TypeAlias = tuple[str, str]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCall:
    """A request to a hook, as it came; the body is raw, for that is what is signed."""

    agent_id: str
    trigger_id: str
    headers: Headers
    body: bytes
    query: Sequence[tuple[str, str]] = ()
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a request: the execution that it made, or made when it came first; or a challenge to answer."""

    execution_id: str = ""
    challenge: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A hook as it was read: how its senders prove themselves, and which version of the agent that is of."""

    version: _Version
    scheme: WebhookScheme
    secrets: tuple[str, ...] = field(repr=False)


class WebhookService:
    """Takes the requests of the outside world.

    What verifies a hook is remembered from request to request, so that one costs a single unit of work. It is a
    guess that others may have changed: a proof that holds is confirmed in the unit by the agent's version, and one
    that does not is looked at again with what the store has.
    """

    def __init__(
        self, *, commits: Commits, reads: Reads, guard: Guard, secrets: Secrets, clock: Clock, ids: Ids
    ) -> None:
        self._commits = commits
        self._reads = reads
        self._guard = guard
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._targets: dict[_Key, _Target] = {}
        self._told: dict[_Key, str] = {}

    def new_secret(self) -> str:
        """A secret for a Standard Webhooks trigger whose author gave none; it is shown once, and then kept sealed."""
        return self._secrets.new()

    async def check(self) -> None:
        """Says in the log, before the first sender does, when secrets don't open: their key is gone or another."""
        try:
            await self._reads.check_secrets()
        except SecretUnavailable as error:
            log.warning("hooks can't verify their senders", error=error.message)

    async def receive(self, call: HookCall) -> Received:
        """Makes an execution of a request; it is on disk when this returns. A repeated one gets the first answer.

        Raises:
            NotFound: There is no such hook, or it is switched off.
            Unauthenticated: The sender has not proven who it is; nothing is left of the request.
            InvalidArgument: The body is not what it says it is, or the delivery is named twice.
            FailedPrecondition: The agent takes no webhooks in its state, or skips work while it is busy.
            ResourceExhausted: The backlog is full.
            Unavailable: The runtime drains, or the secrets can't be had.
        """
        self._guard.check_open()
        for _ in range(_TRIES):
            target, proof = await self._verified(call)
            if proof.challenge is not None:
                return Received(challenge=proof.challenge)
            content = webhook_input(
                method=call.method, query=call.query, headers=call.headers, body=call.body
            )
            received = await self._admitted(call, target, proof, content)
            if received is not None:
                return received
            self._targets.pop((call.agent_id, call.trigger_id), None)
        raise Unavailable("the agent changes faster than its hook can be read; try again")

    async def _admitted(
        self, call: HookCall, target: _Target, proof: Verified, content: JsonObject
    ) -> Received | None:
        """What became of it; None when the agent is not the one that the sender was verified for any more."""
        execution_id, now = self._ids.uuid7(), self._clock.now()
        place = call.agent_id, call.trigger_id

        def unit(tx: Transaction, after: After) -> Received | None:
            agent = tx.agents.get(call.agent_id)
            if agent is None or _version(agent) != target.version:
                return None
            if proof.deliveries:
                first = tx.hooks.delivered(*place, proof.deliveries, since=now - KEPT)
                if first:
                    return Received(execution_id=first)
            check_webhook(agent.state, agent_id=agent.id)
            work = Work(
                execution_id=execution_id,
                trigger=TriggerRef(kind=TriggerKind.WEBHOOK, trigger_id=call.trigger_id),
                input={"webhook": content},
                max_bytes=MAX_INPUT,
            )
            execution = admit_one(tx, after, agent, work, now=now)
            if proof.deliveries:
                tx.hooks.remember(*place, proof.deliveries, execution.id, now=now)
            return Received(execution_id=execution.id)

        return await self._commits.run(unit)

    async def _verified(self, call: HookCall) -> tuple[_Target, Verified]:
        known = self._targets.get((call.agent_id, call.trigger_id))
        if known is not None:
            try:
                return known, self._proof(known, call)
            except Unauthenticated:
                agent = await self._reads.agent(call.agent_id)
                if agent is not None and _version(agent) == known.version:
                    raise
        target = await self._look(call)
        return target, self._proof(target, call)

    async def _look(self, call: HookCall) -> _Target:
        """The hook as the store has it.

        Raises:
            NotFound: For each cause the same, so that nobody learns what there is.
        """
        agent = await self._reads.agent(call.agent_id)
        trigger = agent.spec.trigger(call.trigger_id) if agent is not None else None
        if agent is None or trigger is None or trigger.webhook is None or trigger.disabled:
            raise NotFound("webhook", f"{call.agent_id}/{call.trigger_id}")
        key = agent.id, trigger.id
        try:
            secrets = await self._reads.hook_secrets(*key)
        except SecretUnavailable as error:
            raise self._unreadable(key, error) from error
        target = _Target(version=_version(agent), scheme=effective(trigger.webhook), secrets=secrets)
        if len(self._targets) >= _KNOWN:
            self._targets.clear()
        self._targets[key] = target
        return target

    def _proof(self, target: _Target, call: HookCall) -> Verified:
        key = call.agent_id, call.trigger_id
        try:
            secrets = [self._said(target.scheme, one) for one in target.secrets]
        except SecretUnavailable as error:
            raise self._unreadable(key, error) from error
        self._told.pop(key, None)
        return SCHEMES[target.scheme].verify(call.headers, call.body, secrets, self._clock.now())

    def _said(self, scheme: WebhookScheme, secret: str) -> str:
        """A secret as it is; what it refers to is looked up for each request, and may be changed in its place."""
        text = resolved(secret, self._secrets.named)
        if text is not secret and (why := flaw_of(scheme, text)):
            raise SecretUnavailable(f"what its secrets refer to is no secret of {scheme}: {why}")
        return text

    def _unreadable(self, key: _Key, error: SecretUnavailable) -> SecretUnavailable:
        """What the sender is told: not where secrets are kept. The log tells it once."""
        if self._told.get(key) != error.message:
            self._told[key] = error.message
            log.warning(
                "a hook can't verify its senders", agent_id=key[0], trigger_id=key[1], error=error.message
            )
        return SecretUnavailable("this hook can't verify its senders now; the log of the runtime says why")


def _version(agent: Agent) -> _Version:
    """One that was deleted and made again begins at revision 1 anew: its birth tells the two apart."""
    return agent.create_time, agent.revision
