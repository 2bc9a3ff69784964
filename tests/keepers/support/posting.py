"""Agents that events wake, and shorthands for a box with some of them."""

import asyncio
import json
from typing import Any

from nightcrew.agent import agent, on_event
from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.page import ListQuery
from nightcrew.domain.values import decode
from nightcrew.services.once import Request

GATES = {}
BY_TEST = Request(method="test")


@agent(triggers=[on_event("order")], max_backlog=3)
async def slow(event) -> Any:
    n = event["data"]
    await GATES.setdefault(n, asyncio.Event()).wait()
    return n


@agent(triggers=[on_event("order")], max_backlog=0)
async def quick(event) -> Any:
    return event["data"]


@agent(triggers=[on_event("nightcrew.execution.succeeded", source="/agents/quick")])
async def second(event) -> Any:
    return event["data"]["result"] + 1


@agent(triggers=[on_event("nightcrew.execution.*", source="/agents/second")])
async def third(event) -> Any:
    return event["data"]["result"] + 1


@agent(triggers=[on_event("ping"), on_event("nightcrew.execution.succeeded", source="/agents/pong")])
async def ping() -> None:
    pass


@agent(triggers=[on_event("nightcrew.execution.succeeded", source="/agents/ping")])
async def pong() -> None:
    pass


class Post:
    """A box with shorthands."""

    def __init__(self, box):
        self.box = box

    async def publish(self, *numbers, kind="order"):
        drafts = [Draft(type=kind, source="/test", data=n) for n in numbers]
        published = await self.box.services.events.publish(drafts, request=BY_TEST)
        await self.box.settle()
        return [one.sequence for one in published]

    async def seen(self, agent_id="slow"):
        """What the agent's executions were given, in the order in which they were made."""
        return [json.loads(one.input)["event"]["data"] for one in await self.box.executions(agent_id)]

    async def results(self, agent_id):
        return [
            None if one.result is None else decode(one.result) for one in await self.box.executions(agent_id)
        ]

    async def command(self, event, agent_id="slow", reason=""):
        await self.box.services.agents.command(event, agent_id, reason=reason, request=BY_TEST)
        await self.box.settle()

    async def change(self, agent_id, **spec):
        await self.box.services.agents.update(
            agent_id, {"spec": spec}, paths=[f"spec.{name}" for name in spec], etag="", request=BY_TEST
        )
        await self.box.settle()

    async def lags(self, agent_id="slow"):
        return await self.box.engine.store.write(lambda tx: tx.lags.of(agent_id))

    async def fires(self, agent_id="slow"):
        return [
            (one.outcome.removeprefix("OUTCOME_"), one.count, one.reason)
            for one in await self.box.fires(agent_id)
        ]

    async def release(self, *numbers):
        for n in numbers:
            GATES.setdefault(n, asyncio.Event()).set()
        await self.box.settle()

    async def events(self):
        page = await self.box.services.events.page(ListQuery(page_size=1000))
        return page.items[::-1]
