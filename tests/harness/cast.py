"""Agents that leave marks in memory, for boxes whose store fails: each kind of work that there is, in small."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from tests.harness.durable_rules import CHAIN
from tests.harness.history import Effect, Entered

from nightcrew.agent import Context, Retry, SyncContext, agent, every, on_event, on_webhook


@dataclass
class Witness:
    """What programs and the functions of steps did to the world; it outlives the boxes."""

    entered: list[Entered] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    fickle: int = 0

    def enter(self, execution_id: str, step: str) -> str:
        """A step's function was entered: its mark is the step's result."""
        mark = f"s{len(self.entered)}"
        self.entered.append(Entered(execution_id=execution_id, step=step, mark=mark))
        return mark

    def leave(self, ctx: Context | SyncContext) -> dict[str, object]:
        """A program has done its work: its mark is in the result."""
        mark = f"e{len(self.effects)}"
        self.effects.append(Effect(execution_id=ctx.execution_id, mark=mark))
        return {"mark": mark}


EFFECTFUL = frozenset({"quick", "slow", "flaky", "tick", "plain"})
ATTEMPTS = {"flaky": 3, "grumpy": 2}
FREE = {"max_concurrency": 0, "overlap": "allow"}
EVENTS = CHAIN["order"], CHAIN["shipped"]


def cast(seen: Witness, clock) -> list:
    """The agents. Durable ones are async: virtual time stands still while a sync one runs, so it would wait for ever
    for a store that is to heal; those are under the blows of `make soak ARGS="-k hour"`.

    Args:
        seen: Where they leave their marks.
        clock: What `slow` takes its time by.
    """

    async def parcel(execution_id, step):
        mark = seen.enter(execution_id, step)
        await clock.sleep(0.2)
        return mark

    def moody(execution_id, step):
        seen.fickle += 1
        if seen.fickle % 2:
            raise ConnectionError("not now")
        return seen.enter(execution_id, step)

    @agent(**FREE)
    async def quick(ctx: Context):
        return seen.leave(ctx)

    @agent(max_concurrency=1)
    async def slow(ctx: Context):
        ctx.log.info("begun")
        await clock.sleep(3)
        ctx.state["count"] = ctx.state.get("count", 0) + 1
        return seen.leave(ctx)

    @agent(**FREE)
    def plain(ctx: SyncContext):
        print("begun")
        return seen.leave(ctx)

    @agent(retry=Retry(max_attempts=3, initial_backoff=2, jitter=False), **FREE)
    async def flaky(ctx: Context):
        if ctx.attempt < 2:
            raise ConnectionError("the first attempt")
        return seen.leave(ctx)

    @agent(triggers=[every(seconds=2, catch_up="all", overlap="buffer_all")], start=False)
    async def tick(ctx: Context):
        return seen.leave(ctx)

    @agent(**FREE)
    async def stepper(ctx: Context):
        marks = []
        for n in range(4):
            marks.append(await ctx.step(f"step-{n}", parcel, ctx.execution_id, f"step-{n}"))
            if n % 2:
                await ctx.sleep(5)
        await ctx.now()
        return {"marks": marks}

    @agent(**FREE)
    async def fanout(ctx: Context):
        async def arm(n):
            await ctx.sleep(n)
            return await ctx.step(f"arm-{n}", parcel, ctx.execution_id, f"arm-{n}")

        return {"marks": list(await asyncio.gather(*map(arm, range(3))))}

    @agent(retry=Retry(max_attempts=2, initial_backoff=2, jitter=False), **FREE)
    async def grumpy(ctx: Context):
        patient = Retry(max_attempts=9, initial_backoff=1, jitter=False)
        marks = [
            await ctx.step("first", parcel, ctx.execution_id, "first"),
            await ctx.step("second", moody, ctx.execution_id, "second", retry=patient),
        ]
        if ctx.attempt < 2:
            raise ConnectionError("the first attempt")
        return {"marks": marks}

    @agent(**FREE)
    async def asker(ctx: Context):
        got = []
        for n in range(2):
            got.append(await ctx.wait_signal("go", timeout=timedelta(days=2)))
            await ctx.step(f"after-{n}", parcel, ctx.execution_id, f"after-{n}")
        return {"got": got}

    @agent(**FREE)
    async def belled(ctx: Context):
        event = await ctx.wait_event("soak.bell", timeout=timedelta(days=2))
        return {"got": event["data"]}

    @agent(**FREE)
    async def parent(ctx: Context):
        one, two = await asyncio.gather(ctx.call("child", {"n": 1}), ctx.call("child", {"n": 2}))
        return {"children": [one["mark"], two["mark"]]}

    @agent(**FREE)
    async def child(ctx: Context, n: int = 0):
        mark = await ctx.step(f"child-{n}", parcel, ctx.execution_id, f"child-{n}")
        await ctx.sleep(1)
        return {"mark": mark}

    @agent(triggers=[on_event(EVENTS[0])], **FREE)
    async def order(ctx: Context, input: dict):  # noqa: A002 - the name by which a program gets all of it
        mark = await ctx.step("ship", parcel, ctx.execution_id, "ship")
        await ctx.publish(EVENTS[1], input["event"]["data"])
        return {"marks": [mark]}

    @agent(triggers=[on_event(EVENTS[1])], max_concurrency=1, max_backlog=1)
    async def shipped(input: dict):  # noqa: A002
        await clock.sleep(1)
        return input["event"]["data"]

    @agent(triggers=[on_event("nightcrew.execution.succeeded", source="/agents/shipped")], **FREE)
    async def audit(input: dict):  # noqa: A002
        return input["event"]["data"]["result"]

    @agent(triggers=[on_webhook("none", id="hook")], **FREE)
    async def hook(input: dict):  # noqa: A002
        return input["webhook"]["body"]["delivery"]

    @agent(**FREE)
    async def broken():
        raise ValueError("always")

    @agent(max_concurrency=1)
    async def victim(ctx: Context):
        try:
            for n in range(3):
                await ctx.step(f"step-{n}", parcel, ctx.execution_id, f"step-{n}")
                await clock.sleep(1)
            await ctx.sleep(2)
        except asyncio.CancelledError:
            await ctx.step("undo", parcel, ctx.execution_id, "undo")
            raise

    return [one for name, one in locals().items() if name not in {"seen", "clock", "parcel", "moody"}]
