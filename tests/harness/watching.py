"""Watchers that remember every sequence they saw: the SDK's own, and one that resumes by hand with its token."""

import asyncio
import random
from collections.abc import Sequence

import grpc
from tests.harness.history import Watched

from nightcrew.client import Client, RetryPolicy
from nightcrew.client.models.event import Event, Gap
from nightcrew.v1 import agent_service_pb2, agent_service_pb2_grpc

FOR_EVER = RetryPolicy(attempts=10_000, initial=0.02, maximum=0.3)

LOST = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
"""How a stream ends whose server has gone."""


class Watcher:
    """What both kinds remember.

    Args:
        name: For messages.
        agents: Whom it watches; nobody named is everybody.
    """

    def __init__(self, name: str, address: str, agents: Sequence[str] = ()) -> None:
        self.name = name
        self.address = address
        self.agents = list(agents)
        self.sequences: list[int] = []
        self.gaps = 0
        self.streams = 0
        self.begun = asyncio.Event()
        self._marks: dict[str, int] = {}
        self._between = (0, 0)

    async def run(self) -> None:
        """Watches until it is cancelled."""
        raise NotImplementedError

    def saw(self, sequence: int, kind: str, agent_id: str) -> None:
        """One event came."""
        self.sequences.append(sequence)
        if kind == "nightcrew.agent.paused":
            self._marks[agent_id] = sequence

    def mark(self, agent_id: str) -> int:
        """The sequence of the last pause of this agent that it saw, or 0."""
        return self._marks.get(agent_id, 0)

    def watched(self, marker: str) -> Watched:
        """What it must have seen, and what it saw, up to the pause of `marker`.

        Where it began is known to lie between two readings of the log's end.
        """
        low, high = self._between
        first = self.sequences[0] - 1 if self.sequences else high
        end = self.mark(marker)
        return Watched(
            name=self.name,
            sequences=[one for one in self.sequences if one <= end],
            after=max(low, min(first, high)),
            up_to=end,
            agents=frozenset(self.agents),
            gaps=self.gaps,
        )

    async def _newest(self) -> int:
        async with Client(self.address) as client:
            return (await client.runtime.get()).sequence


class SdkWatcher(Watcher):
    """The SDK's watch: it reconnects and resumes by itself."""

    async def run(self) -> None:
        """Watches until it is cancelled."""
        async with Client(self.address, retry=FOR_EVER) as client:
            low = await self._newest()
            async with client.agents.watch(ids=self.agents, include_snapshot=True) as watch:
                await watch.opened()
                self.streams = 1
                self._between = (low, await self._newest())
                self.begun.set()
                async for item in watch:
                    if isinstance(item, Event):
                        self.saw(item.sequence, item.type, item.agent_id)
                    elif isinstance(item, Gap):
                        self.gaps += 1


class HandWatcher(Watcher):
    """A bare stream that is opened anew with its last token whenever it ends; now and then it breaks it itself.

    Args:
        fickle: How likely it is to leave its stream after a message.
    """

    def __init__(self, name: str, address: str, agents: Sequence[str] = (), *, fickle: float = 0.0) -> None:
        super().__init__(name, address, agents)
        self._chance = random.Random(name)
        self._fickle = fickle
        self._token = ""

    async def run(self) -> None:
        """Watches until it is cancelled."""
        low = await self._newest()
        while True:
            # A channel each: one that lost its peer rests longer and longer before it tries again.
            async with grpc.aio.insecure_channel(self.address) as channel:
                try:
                    await self._stream(channel, low)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in LOST:
                        raise
            await asyncio.sleep(0.02)

    async def _stream(self, channel: grpc.aio.Channel, low: int) -> None:
        request = agent_service_pb2.WatchAgentsRequest(
            ids=self.agents, include_snapshot=not self._token, resume_token=self._token
        )
        call = agent_service_pb2_grpc.AgentServiceStub(channel).WatchAgents(request)
        self.streams += 1
        async for answer in call:
            for item in answer.items:
                match item.WhichOneof("item"):
                    case "event":
                        self.saw(item.event.sequence, item.event.type, item.event.agent_id)
                    case "gap":
                        self.gaps += 1
            self._token = answer.resume_token or self._token
            if not self.begun.is_set():
                self._between = (low, await self._newest())
                self.begun.set()
            if self._chance.random() < self._fickle:
                call.cancel()
                return
