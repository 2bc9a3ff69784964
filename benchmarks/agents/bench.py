"""The agents that are measured: they do nothing, note when they were entered, take steps, wait."""

import asyncio
import time
from typing import Any

from nightcrew.agent import Context, agent


@agent(start=False)
async def noop(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the whole input is asked for by this name
    return {"ok": True, "i": input.get("i")}


@agent(start=False)
async def stamp() -> dict[str, float]:
    return {"entered": time.time()}


async def fetch(number: int) -> dict[str, Any]:
    return {"ok": True, "number": number}


@agent(start=False)
async def stepwise(ctx: Context, steps: int) -> dict[str, int]:
    """As dbos_steps.py has it: one step after the other."""
    total = 0
    for number in range(steps):
        total += (await ctx.step("fetch", fetch, number))["number"]
    return {"total": total}


@agent(start=False)
async def abreast(ctx: Context, steps: int) -> dict[str, int]:
    """Fifty steps at once."""
    total = 0
    for start in range(0, steps, 50):
        numbers = range(start, min(start + 50, steps))
        found = await asyncio.gather(*(ctx.step("fetch", fetch, number) for number in numbers))
        total += sum(one["number"] for one in found)
    return {"total": total}


@agent(start=False)
async def waiter(ctx: Context, kind: str, due: float) -> dict[str, float]:
    """Waits until it is due, in one of the four ways."""
    left = max(due - (await ctx.now()).timestamp(), 0.001)
    try:
        match kind:
            case "sleep":
                await ctx.sleep(left)
            case "signal":
                await ctx.wait_signal("go", timeout=left)
            case "event":
                await ctx.wait_event("bench.go", timeout=left)
            case _:
                await ctx.call("beneath", {"due": due}, timeout=left)
    except TimeoutError:
        return {"woken": time.time()}
    return {"woken": time.time()}


@agent(start=False)
async def child(ctx: Context, due: float) -> None:
    await ctx.sleep(max(due + 3600 - (await ctx.now()).timestamp(), 0.001))
