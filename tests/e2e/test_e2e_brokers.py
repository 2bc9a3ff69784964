"""Real brokers over kill -9 of the runtime: no message is lost, none runs twice."""

import asyncio
import json
import re
from collections import Counter

import pytest
from tests.gateway.support.real_brokers import Sender, need
from tests.harness.waiting import until

from nightcrew.client import Client

pytestmark = pytest.mark.brokers

ENV = {"NIGHTCREW_ALLOW_PRIVATE": "127.0.0.1", "NIGHTCREW_SECRET_RABBIT": "guest"}
KINDS = ("nats", "redis", "amqp", "mqtt")
TAKERS = """
from nightcrew.agent import agent, on_event

"""
TAKER = """
@agent(triggers=on_event(source_url={url!r}), max_concurrency=0)
async def {kind}(input: dict) -> int:
    return input["event"]["data"]["n"]

"""


async def given(crew, kind):
    """What the agent's executions were given, counted; nothing while the runtime is away."""
    async with Client(crew.address) as client:
        found = [one async for one in client.executions.list(filter=f'agent_id = "{kind}"', page_size=1000)]
    return Counter(int(one.input["event"]["data"]["n"]) for one in found)


async def test_no_message_is_lost_or_runs_twice_over_kills(up, agents):
    for kind in KINDS:
        need(kind)
    senders = [Sender(kind) for kind in KINDS]
    code = TAKERS + "".join(TAKER.format(url=one.url, kind=one.kind) for one in senders)
    crew = up(agents("takers", code), env=ENV).start()
    count = 80
    sent = 0

    async def send(sender):
        nonlocal sent
        async with sender.opened():
            for number in range(count):
                await sender.send(json.dumps({"n": number}).encode(), name=f"{sender.place}-{number}")
                sent += 1
                await asyncio.sleep(0.01)
            await asyncio.wait_for(told[sender.kind].wait(), 90)  # what it made goes only then

    async def kill():
        for part in (1, 2):
            while sent < part * len(KINDS) * count // 3:
                await asyncio.sleep(0.01)
            crew.kill()
            await asyncio.to_thread(crew.start)

    async def look():
        for kind in KINDS:
            # MQTT's QoS 1 is at least once, and its messages have no name to tell a repetition by.
            while len(found := await given(crew, kind)) < count:
                await asyncio.sleep(0.2)
            if kind != "mqtt":
                assert set(found.values()) == {1}, f"{kind} ran twice: {found.most_common(3)}"
            told[kind].set()

    told = {kind: asyncio.Event() for kind in KINDS}
    # All begin to take before anything is sent, or a queue would not be there yet.
    await asyncio.to_thread(wait_for_sources, crew, len(KINDS))
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(send(sender))
        await group.create_task(kill())
        await look()


def wait_for_sources(crew, count):
    def all_take():
        shown = crew.cli("status").stdout
        return len(re.findall(r"(?:nats|redis|amqp|mqtt):\S+ +RUNNING", shown)) == count

    until(all_take, within=30, what=f"{count} sources", say=crew.said)
