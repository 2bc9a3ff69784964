"""Clients that ask for work without pause, and remember what they asked for and what they were told."""

import asyncio
import random
import uuid
from collections.abc import Mapping
from typing import Any

from tests.harness.history import Asked

from nightcrew.client import Client, RetryPolicy
from nightcrew.client.errors import Cancelled, NightcrewClientError, ResourceExhausted, Unavailable
from nightcrew.client.models.execution import TriggerRequest

WORK = ("quick", "quick", "quick", "steady", "pooled", "own", "flaky")
"""Which agents are asked, the quick one most often."""
PATIENT = RetryPolicy(attempts=200, initial=0.05, multiplier=1.5, maximum=0.5)
HASTY = RetryPolicy(attempts=2, initial=0.02)
BATCH = 25
LOST = (Unavailable, Cancelled)
"""Calls whose fate is not known: the runtime was not there, or went while it had them."""


class Load:
    """Some clients, each with a connection of its own.

    Args:
        address: The runtime's.
        seed: Makes what they do the same again.
        clients: How many.
        pause: Seconds that each rests between its calls.
        timeout: Seconds that a call may take: more than the runtime is frozen for.
    """

    def __init__(
        self, address: str, *, seed: int, clients: int = 4, pause: float = 0.02, timeout: float = 30
    ) -> None:
        self.address = address
        self._timeout = timeout
        self.asked: list[Asked] = []
        self.faults: list[str] = []
        self.calls = 0
        self._seed = seed
        self._clients = clients
        self._pause = pause
        self._stop = asyncio.Event()

    @property
    def answered(self) -> list[Asked]:
        """What was answered with an execution."""
        return [one for one in self.asked if one.execution_id]

    def stop(self) -> None:
        """Has every client finish its call and end."""
        self._stop.set()

    async def run(self) -> None:
        """Asks until it is stopped."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(random.Random(f"{self._seed}/{number}")))

    async def _client(self, chance: random.Random) -> None:
        # Some wait for the runtime to come back, some give up and never learn what became of their call.
        retry = PATIENT if chance.random() < 0.7 else HASTY
        async with Client(self.address, timeout=self._timeout, retry=retry) as client:
            while not self._stop.is_set():
                self.calls += 1
                try:
                    await self._call(client, chance)
                except LOST:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(self._pause * chance.random() * 2)

    async def _call(self, client: Client, chance: random.Random) -> None:
        match chance.choices(["one", "wait", "batch", "again", "cancel"], [10, 3, 2, 3, 1])[0]:
            case "one":
                await self._one(client, _request(chance))
            case "wait":
                await self._one(client, _request(chance), wait=chance.random())
            case "batch":
                await self._batch(client, [_request(chance) for _ in range(BATCH)])
            case "again" if self.asked:
                before = chance.choice(self.asked[-200:])
                if not before.refused:
                    await self._one(client, _same(before))
            case "cancel" if self.answered:
                await client.executions.cancel(chance.choice(self.answered[-50:]).execution_id)
            case _:
                pass

    async def _one(self, client: Client, request: TriggerRequest, *, wait: float | None = None) -> None:
        try:
            execution = await client.agents.trigger(
                request.agent_id,
                request.input,
                labels=request.labels,
                request_id=request.request_id,
                wait=wait,
            )
        except NightcrewClientError as error:
            self._note(request, error=error)
            if isinstance(error, LOST):
                raise
        else:
            self._note(request, execution_id=execution.id)

    async def _batch(self, client: Client, requests: list[TriggerRequest]) -> None:
        try:
            results = await client.agents.trigger_many(requests)
        except NightcrewClientError as error:
            for request in requests:
                self._note(request, error=error)
            if isinstance(error, LOST):
                raise
            return
        for request, result in zip(requests, results, strict=True):
            if result.execution is not None:
                self._note(request, execution_id=result.execution.id)
            else:
                self._note(request, error=result.error)

    def _note(
        self, request: TriggerRequest, *, execution_id: str = "", error: NightcrewClientError | None = None
    ) -> None:
        refused = isinstance(error, ResourceExhausted)
        if error is not None and not refused and not isinstance(error, LOST):
            self.faults.append(f"{request.agent_id}: {type(error).__name__}: {error}")
        self.asked.append(
            Asked(
                request_id=str(request.request_id),
                agent_id=request.agent_id,
                execution_id=execution_id,
                refused=refused,
            )
        )


def _request(chance: random.Random) -> TriggerRequest:
    request_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return TriggerRequest(
        agent_id=chance.choice(WORK),
        input=_input(request_id),
        labels={"request": request_id},
        request_id=request_id,
    )


def _same(asked: Asked) -> TriggerRequest:
    return TriggerRequest(
        agent_id=asked.agent_id,
        input=_input(asked.request_id),
        labels={"request": asked.request_id},
        request_id=asked.request_id,
    )


def _input(request_id: str) -> Mapping[str, Any]:
    return {"n": int(request_id[:6], 16)}
