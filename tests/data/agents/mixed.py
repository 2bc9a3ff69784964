"""Durable agents of every kind whose step functions write down that they ran, for blows under mixed load."""

import asyncio
import os
import time
from pathlib import Path

from nightcrew.agent import Context, Retry, SyncContext, agent, on_event, on_webhook

ENTERED = Path(__file__).parent / "entered"


def enter(execution_id: str, step: str) -> str:
    """Writes one line as what a step's function has done to the world; its mark is the step's result."""
    mark = os.urandom(8).hex()
    handle = os.open(ENTERED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, f"{execution_id} {step} {mark}\n".encode())
    finally:
        os.close(handle)
    return mark


def piece(execution_id: str, step: str) -> str:
    """A step that takes a moment."""
    mark = enter(execution_id, step)
    time.sleep(0.01)
    return mark


async def parcel(execution_id: str, step: str) -> str:
    """The same on the loop."""
    mark = enter(execution_id, step)
    await asyncio.sleep(0.02)
    return mark


def moody(execution_id: str, step: str) -> str:
    """A step that fails every other time."""
    if os.urandom(1)[0] % 2:
        raise ConnectionError("not now")
    return enter(execution_id, step)


@agent(max_concurrency=0, overlap="allow")
async def stepper(ctx: Context, steps: int = 6):
    marks = []
    for n in range(steps):
        marks.append(await ctx.step(f"step-{n}", parcel, ctx.execution_id, f"step-{n}"))
        if n % 3 == 2:
            await ctx.sleep(0.3)
    return {"marks": marks}


@agent(max_concurrency=8)
def stepping(ctx: SyncContext, steps: int = 6):
    marks = []
    for n in range(steps):
        marks.append(ctx.step(f"step-{n}", piece, ctx.execution_id, f"step-{n}"))
        if n % 3 == 2:
            ctx.sleep(0.3)
    return {"marks": marks}


@agent(max_concurrency=0, overlap="allow")
async def fanout(ctx: Context):
    async def arm(n):
        await ctx.sleep(0.05 * n)
        return await ctx.step(f"arm-{n}", parcel, ctx.execution_id, f"arm-{n}")

    marks = await asyncio.gather(*(arm(n) for n in range(4)))
    return {"marks": list(marks)}


@agent(max_concurrency=0, overlap="allow")
async def asker(ctx: Context, signals: int = 3):
    got = []
    for n in range(signals):
        got.append(await ctx.wait_signal("go", timeout=3600, message=f"May I go on ({n})?"))
        await ctx.step(f"after-{n}", parcel, ctx.execution_id, f"after-{n}")
    return {"got": got}


@agent(max_concurrency=0, overlap="allow")
async def parent(ctx: Context):
    one, two = await asyncio.gather(ctx.call("child", {"n": 1}), ctx.call("child", {"n": 2}))
    return {"children": [one["mark"], two["mark"]]}


@agent(max_concurrency=0, overlap="allow")
async def child(ctx: Context, n: int = 0):
    mark = await ctx.step(f"child-{n}", parcel, ctx.execution_id, f"child-{n}")
    await ctx.sleep(0.1)
    return {"mark": mark}


@agent(max_concurrency=0, overlap="allow", retry=Retry(max_attempts=3, initial_backoff=0.2))
async def grumpy(ctx: Context):
    """Its second step is tried again by its own policy; its first attempt fails after both."""
    first = await ctx.step("first", parcel, ctx.execution_id, "first")
    patient = Retry(max_attempts=50, initial_backoff=0.05, max_backoff=0.5)
    second = await ctx.step("second", moody, ctx.execution_id, "second", retry=patient)
    if ctx.attempt < 2:
        raise ConnectionError("the first attempt")
    return {"marks": [first, second]}


@agent(triggers=[on_event("soak.order")], max_concurrency=0, overlap="allow")
async def order(ctx: Context, input: dict):
    number = input["event"]["data"]["order"]
    mark = await ctx.step("ship", parcel, ctx.execution_id, "ship")
    await ctx.publish("soak.shipped", {"order": number})
    return {"order": number, "marks": [mark]}


@agent(triggers=[on_event("soak.shipped")], max_concurrency=4)
async def shipped(input: dict):
    return {"order": input["event"]["data"]["order"]}


@agent(
    triggers=[on_event("nightcrew.execution.succeeded", source="/agents/shipped")],
    max_concurrency=0,
    overlap="allow",
)
async def audit(input: dict):
    return input["event"]["data"]["result"]


@agent(triggers=[on_webhook("none", id="hook")], max_concurrency=0, overlap="allow")
async def hook(input: dict):
    return input["webhook"]["body"]["delivery"]


@agent(max_concurrency=0, overlap="allow")
async def broken(n: int = 0):
    raise ValueError(f"always, {n}")


@agent(max_concurrency=2)
async def victim(ctx: Context):
    """What commands fall on while it runs."""
    try:
        for n in range(5):
            await ctx.step(f"step-{n}", parcel, ctx.execution_id, f"step-{n}")
            await asyncio.sleep(0.1)
    finally:
        await asyncio.sleep(0)
    return "done"
