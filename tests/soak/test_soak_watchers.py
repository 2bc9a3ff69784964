"""Two thousand watchers, some of which never read: memory stays bounded, and those who read see everything once."""

import asyncio
import time

import grpc
from tests.harness.chaos import nothing_is_open
from tests.harness.history import History, Watched
from tests.harness.history_file import read_history
from tests.harness.history_rules import watchers_see_everything_once
from tests.harness.waiting import holds

from nightcrew.client import Client
from nightcrew.client.models.execution import TriggerRequest
from nightcrew.v1 import agent_service_pb2, agent_service_pb2_grpc

AGENTS = 50
OF_ONE, OF_ALL, STALLED = 1800, 100, 100
SECONDS = 20
MIB = 2**20


class Stream:
    """One bare stream; one that is stalled takes its first message and none after it."""

    def __init__(self, number, channel, *, ids=(), stalled=False):
        self.name = f"watcher {number}"
        self.ids = ids
        self.sequences = []
        self.ended = 0
        self.gaps = 0
        self.leaving = False
        self._stalled = stalled
        self.begun = asyncio.Event()
        request = agent_service_pb2.WatchAgentsRequest(ids=ids, include_snapshot=True)
        self._call = agent_service_pb2_grpc.AgentServiceStub(channel).WatchAgents(request)

    async def run(self):
        try:
            await self._read()
        except grpc.aio.AioRpcError as error:
            # A stream whose task is cancelled ends in either way.
            if not (self.leaving and error.code() is grpc.StatusCode.CANCELLED):
                raise

    async def _read(self):
        async for answer in self._call:
            self.begun.set()
            if self._stalled:
                await asyncio.get_running_loop().create_future()
            for item in answer.items:
                if item.WhichOneof("item") == "event":
                    self.sequences.append(item.event.sequence)
                    if item.event.type == "nightcrew.agent.deleted":
                        self.ended = item.event.sequence
                elif item.WhichOneof("item") == "gap":
                    self.gaps += 1


def _own(number):
    """Options that give a channel a connection of its own."""
    return [("grpc.use_local_subchannel_pool", 1), ("nightcrew.test", number)]


async def _load(crew, client, names):
    """Asks for work for a while, and looks at the runtime's memory meanwhile: (executions, most bytes)."""
    end = time.monotonic() + SECONDS
    made, peak = 0, 0
    while time.monotonic() < end:
        wanted = [TriggerRequest(agent_id=names[(made + n) % AGENTS]) for n in range(AGENTS)]
        results = await client.agents.trigger_many(wanted)
        assert all(one.error is None for one in results)
        made += len(results)
        peak = max(peak, crew.memory())
        await asyncio.sleep(0.25)
    return made, peak


async def test_two_thousand_watchers(up, agents, figures):
    crew = up(agents("burst")).start()
    async with Client(crew.address, timeout=120) as client:
        names = [f"watched-{n}" for n in range(AGENTS)]
        spec = {"program": {"python": {"entrypoint": "burst:beat"}}, "execution": {"max_concurrency": 0}}
        await client.agents.apply({"id": one, "labels": {"kind": "watched"}, "spec": spec} for one in names)
        await client.agents.start_all({"kind": "watched"})
        await client.agents.pause("tick")
        await nothing_is_open(client)
        alone = crew.memory()
        before = (await client.runtime.get()).sequence
        channels = [grpc.aio.insecure_channel(crew.address, options=_own(n)) for n in range(12)]
        streams = [Stream(n, channels[n % 10], ids=[names[n % AGENTS]]) for n in range(OF_ONE)]
        streams += [Stream(OF_ONE + n, channels[10]) for n in range(OF_ALL)]
        stalled = [Stream(OF_ONE + OF_ALL + n, channels[11], stalled=True) for n in range(STALLED)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for one in (*streams, *stalled)]
            await asyncio.wait_for(asyncio.gather(*(one.begun.wait() for one in (*streams, *stalled))), 120)
            watched = crew.memory()
            made, peak = await _load(crew, client, names)
            for name in names:
                await client.agents.delete(name, force=True)
            await holds(
                lambda: all(one.ended for one in streams), within=180, what="all to catch up", every=0.5
            )
            after = crew.memory()
            for one, task in zip((*streams, *stalled), tasks, strict=True):
                one.leaving = True
                task.cancel()
        for channel in channels:
            await channel.close()
    crew.stop()
    events = read_history(crew.data).events
    seen = [
        Watched(
            name=one.name,
            sequences=[sequence for sequence in one.sequences if sequence <= one.ended],
            after=before,
            up_to=one.ended,
            agents=frozenset(one.ids),
            gaps=one.gaps,
        )
        for one in streams[::19]
    ]
    assert list(watchers_see_everything_once(History(events=events, watched=seen)))[:10] == []
    figures(
        [
            f"{len(streams)} watchers that read and {STALLED} that do not; {made} executions in {SECONDS} s",
            f"events delivered: {sum(len(one.sequences) for one in streams)}",
            f"memory: {alone / MIB:.0f} MiB alone, {watched / MIB:.0f} with watchers, {peak / MIB:.0f} at most under load, {after / MIB:.0f} after it",
        ]
    )
    assert peak - watched < 200 * MIB, "memory grows with what is watched, not with what is not read"
