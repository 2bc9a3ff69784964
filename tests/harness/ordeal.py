"""A box whose store fails, callers who repeat what was not answered, and at the end one history to check."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.harness.cast import ATTEMPTS, EFFECTFUL, Witness, cast
from tests.harness.durable_rules import DURABLE
from tests.harness.faulty_store import Faults, FaultyBox
from tests.harness.history import FINAL, Asked, History, Signalled, Ticking, Wanted
from tests.harness.history_file import read_history
from tests.harness.history_rules import breaches

from nightcrew.actor.errors import StartFailed
from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.errors import FailedPrecondition, NightcrewError, Unavailable
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.webhook.headers import Headers
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.services.webhooks import HookCall
from nightcrew.testing.clock import ManualClock

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds: a keeper's longest sleep, as it is in a runtime that serves."""
TURN = 1.0
HEALED = 400.0
"""Seconds (virtual) after which nothing may be amiss any more once faults have ended."""
TRIES = 400


class Ordeal:
    """One life of a box under faults; what callers did and were told is remembered.

    Args:
        folder: Of the store.
        faults: When it fails.
        seed: Of ids.
    """

    def __init__(self, folder: Path, faults: Faults, *, seed: int = 0) -> None:
        self.faults = faults
        self.seen = Witness()
        self.clock = ManualClock()
        self.folder = folder
        self.restarts = 0
        self.box = FaultyBox(
            *cast(self.seen, self.clock),
            faults=faults,
            folder=folder,
            clock=self.clock,
            seed=seed,
            patience=PATIENCE,
        )
        self.asked: list[Asked] = []
        self.signalled: list[Signalled] = []
        self.published: dict[str, set[str]] = {}
        self.delivered: dict[str, set[str]] = {}
        self.retried: dict[str, set[str]] = {}
        self.commanded: dict[str, str] = {}
        self.ticking: list[Ticking] = []
        self._requests = 0

    # ---- its life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts the box; faults begin now."""
        await self.box.__aenter__()
        self.faults.armed = True

    async def live(self, seconds: float) -> None:
        """Lets time pass; a runtime that was killed is started again."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            await self._rise()
            await self.box.advance(min(TURN, end - self.clock.monotonic()))
        await self._rise()

    async def _rise(self) -> None:
        """Starts the runtime again if it is dead, until it stands."""
        for _ in range(TRIES):
            if not self.faults.killed and self.box.engine.ending is False and self.box._life is not None:
                return
            self.restarts += 1
            with suppress(StartFailed, NightcrewError):
                await self.box.restart(0.5)
        raise AssertionError("it does not start")

    async def heal(self) -> None:
        """Faults end; what they have done has its time to be made good."""
        self.faults.armed = False
        await self._rise()
        await self.box.advance(HEALED)

    # ---- callers -------------------------------------------------------------------------------------------

    def request(self, method: str) -> Request:
        """A request with an id of its own."""
        self._requests += 1
        return Request(method=method, request_id=str(uuid.UUID(int=self._requests, version=4)))

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Calls until it is known what became of it: also when the runtime dies under the call."""
        for _ in range(TRIES):
            await self._rise()
            task = asyncio.ensure_future(call())
            while not task.done() and not self.faults.killed:
                await self.box.settle()
                if not task.done() and not self.faults.killed:
                    await self.box.advance(0.1)
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                continue
            try:
                return task.result()
            except FailedPrecondition:
                raise
            except Unavailable:
                await self.live(1)
        raise AssertionError("it was never answered")

    async def trigger(self, agent_id: str) -> str:
        """Has an agent run."""
        request = self.request("trigger")
        wish = Triggering(agent_id=agent_id, request=request, labels={"request": request.request_id})
        made = await self.ask(lambda: self.box.services.executions.trigger(wish))
        self.asked.append(Asked(request_id=request.request_id, agent_id=agent_id, execution_id=made.id))
        return made.id

    async def ended(self, execution_id: str) -> str:
        """The state that an execution ends in."""
        for _ in range(TRIES):
            found = await self.ask(lambda: self.box.execution(execution_id))
            if found.state.final:
                return found.state.value
            await self.live(1)
        raise AssertionError(f"{found.agent_id} has not ended: it is {found.state}")

    async def signal(self, execution_id: str, *payloads: object) -> None:
        """Sends one signal after the other."""
        for payload in payloads:
            await self.ask(partial(self._send, execution_id, payload, self.request("signal")))
        self.signalled.append(Signalled(execution_id=execution_id, payloads=payloads))

    async def _send(self, execution_id: str, payload: object, request: Request) -> None:
        await self.box.services.steps.signal(execution_id, "go", payload, request=request)

    async def cancel(self, execution_id: str) -> None:
        """Cancels it."""
        request = self.request("cancel")
        await self.ask(
            lambda: self.box.services.executions.cancel(execution_id, reason="enough", request=request)
        )

    async def publish(self, type_: str, name: str) -> None:
        """Publishes an event."""
        self.published.setdefault(name, set())
        drafts, request = [Draft(type=type_, source="/soak", id=name, data=name)], self.request("publish")
        (told,) = await self.ask(lambda: self.box.services.events.publish(drafts, request=request))
        self.published[name].add(str(told.sequence))

    async def deliver(self, name: str) -> None:
        """Sends a webhook."""
        headers = Headers([(b"content-type", b"application/json"), (b"idempotency-key", name.encode())])
        body = f'{{"delivery":"{name}"}}'.encode()
        call = HookCall(agent_id="hook", trigger_id="hook", headers=headers, body=body)
        self.delivered.setdefault(name, set())
        told = await self.ask(lambda: self.box.services.webhooks.receive(call))
        self.delivered[name].add(told.execution_id)

    async def retry(self, execution_id: str) -> str:
        """Has what failed run again."""
        request = self.request("retry")
        made = await self.ask(lambda: self.box.services.executions.retry(execution_id, request=request))
        self.retried.setdefault(execution_id, set()).add(made.id)
        return made.id

    async def command(self, verb: str, agent_id: str, state: str = "") -> bool:
        """A command; False if its state does not allow it."""
        request = self.request(verb)
        try:
            await self.ask(
                lambda: self.box.services.agents.command(
                    AgentEvent(verb), agent_id, reason="", request=request
                )
            )
        except FailedPrecondition:
            return False
        if state:
            self.commanded[agent_id] = state
        return True

    async def ticks(self, seconds: float) -> None:
        """Has `tick` be active for so long; each of its times must be in the ledger, once."""
        await self.command("start", "tick")
        start = self.clock.now() + timedelta(microseconds=1)  # what is due now may be of before the start
        await self.live(seconds)
        self.ticking.append(
            Ticking(agent_id="tick", trigger_id="interval", every=2, start=start, end=self.clock.now())
        )

    # ---- the end -------------------------------------------------------------------------------------------

    async def end(self) -> History:
        """Stops the box; all that happened."""
        self.faults.armed = False
        await self.box.__aexit__(None, None, None)
        history = read_history(self.folder)
        return replace(
            history,
            asked=self.asked,
            effects=self.seen.effects,
            entered=self.seen.entered,
            effectful=EFFECTFUL,
            max_attempts=ATTEMPTS,
            ticking=self.ticking,
            signalled=self.signalled,
            published=_wanted(self.published),
            delivered=_wanted(self.delivered),
            retried=_wanted(self.retried),
            commanded=self.commanded,
            open=frozenset(
                one.id
                for one in history.executions
                if one.state == "STATE_QUEUED" and history.agents[one.agent_id] == "STATE_PAUSED"
            ),
        )


def _wanted(found: dict[str, set[str]]) -> list[Wanted]:
    return [Wanted(id=one, answers=frozenset(answers)) for one, answers in found.items()]


def faults_of(history: History) -> list[str]:
    """Every breach of every rule."""
    return breaches(history, DURABLE)


def states(history: History, agent_id: str) -> list[str]:
    """The states of an agent's executions, without their prefix."""
    found = [one.state for one in history.executions if one.agent_id == agent_id]
    assert set(found) <= FINAL | {"STATE_WAITING", "STATE_QUEUED"}, found
    return [one.removeprefix("STATE_") for one in found]
