"""Agents that are backfilled, and shorthands for a box with one of them."""

import asyncio
from datetime import timedelta

from nightcrew.agent import agent, every
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.values import decode
from nightcrew.services.backfills import Wish
from nightcrew.services.once import Request

MINUTE = timedelta(minutes=1)
GATES = {}


@agent(triggers=[every(minutes=1, catch_up="none")], start=False)
async def quick(ctx) -> str:
    return f"{ctx.trigger.kind} {ctx.trigger.nominal_time:%H:%M}"


@agent(triggers=[every(minutes=1, catch_up="none")], start=False)
async def slow(ctx) -> None:
    await GATES.setdefault(ctx.execution_id, asyncio.Event()).wait()


@agent(triggers=[every(minutes=1, catch_up="none")], max_concurrency=3, start=False)
async def three(ctx) -> None:
    await GATES.setdefault(ctx.execution_id, asyncio.Event()).wait()


@agent(triggers=[every(minutes=1, catch_up="none")], max_concurrency=0, start=False)
async def unbounded(ctx) -> None:
    await GATES.setdefault(ctx.execution_id, asyncio.Event()).wait()


class Filling:
    """A box with shorthands; times are minutes since the box's clock began."""

    def __init__(self, box, agent_id, start=None):
        self.box, self.id = box, agent_id
        self.start = start or box.clock.now()
        GATES.clear()  # each box gives the same ids

    def at(self, minutes):
        return self.start + minutes * MINUTE

    def minute(self, time):
        return round((time - self.start) / MINUTE)

    async def command(self, event):
        await self.box.services.agents.command(event, self.id, reason="", request=Request(method="test"))
        await self.box.settle()

    async def begin(
        self, first, last, overlap="UNSPECIFIED", *, trigger="interval", request_id="", agent_id=""
    ):
        wish = Wish(
            agent_id=agent_id or self.id,
            trigger_id=trigger,
            from_time=self.at(first),
            to_time=self.at(last),
            overlap=OverlapPolicy[overlap],
        )
        request = Request(method="backfill", request_id=request_id, digest=f"{wish}")
        begun = await self.box.services.backfills.begin(wish, request=request)
        await self.box.settle()
        return begun

    async def now(self, begun):
        return await self.box.services.backfills.get(begun.id)

    async def figures(self, begun):
        now = await self.now(begun)
        return str(now.state)[6:], now.started, now.deduplicated, now.total

    async def ledger(self):
        """(first minute, last minute, outcome) of every row, which must be counted right."""
        rows = await self.box.fires(self.id)
        for one in rows:
            assert one.count == self.minute(one.last_nominal_time) - self.minute(one.nominal_time) + 1
        return [
            (self.minute(one.nominal_time), self.minute(one.last_nominal_time), str(one.outcome)[8:])
            for one in rows
        ]

    async def runs(self, state=None):
        """The minutes of the backfill's executions, in order."""
        return [
            self.minute(one.trigger.nominal_time)
            for one in await self.box.executions(self.id)
            if one.trigger.kind is TriggerKind.BACKFILL and state in {None, one.state}
        ]

    async def finish(self, count=1):
        """Lets so many of the runs end, the oldest first."""
        for one in await self.box.executions(self.id):
            if count and one.state is ExecutionState.RUNNING:
                GATES[one.id].set()
                count -= 1
        await self.box.settle()

    async def told(self):
        return [
            (one.type.removeprefix("nightcrew.backfill."), decode(one.data))
            for one in await self.box.engine.store.reads.events_after(0, limit=10_000)
            if one.type.startswith("nightcrew.backfill.")
        ]


async def active_for(it, minutes):
    """The agent was stopped for so many minutes and is ACTIVE now: the ledger has one counted row for them."""
    await it.box.advance(minutes=minutes + 0.5)
    await it.command(AgentEvent.START)
    await it.box.settle()
