"""Agents for the plain end-to-end tests."""

import asyncio
import os
import time

from nightcrew.agent import Context, agent, every


@agent
async def hello(name: str = "world") -> dict[str, str]:
    return {"text": f"Hello, {name}!"}


@agent(triggers=every(seconds=1))
async def tick(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)


@agent(max_concurrency=0)
async def sleeper(ctx: Context, seconds: float = 30) -> dict[str, object]:
    print("sleeping")
    await asyncio.sleep(seconds)
    return {"attempt": ctx.attempt, "pid": os.getpid()}


@agent(max_concurrency=0)
def snoozer(ctx: Context, seconds: float = 30) -> dict[str, object]:
    print("snoozing")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
    return {"attempt": ctx.attempt, "pid": os.getpid()}
