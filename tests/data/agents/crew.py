"""Agents whose runs write down that they were: for kills of workers and of the runtime."""

import asyncio
import os
import time
from pathlib import Path

from nightcrew.agent import Context, Retry, agent, cron, every

EFFECTS = Path(__file__).parent / "effects"


def leave_mark(ctx: Context) -> str:
    """Writes one line, synced, as what a run has done to the world; and gives the mark that is in it."""
    mark = os.urandom(8).hex()
    handle = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, f"{ctx.execution_id} {mark}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return mark


@agent(max_concurrency=0)
async def quick(ctx: Context, n: int = 0) -> dict[str, object]:
    await asyncio.sleep(0.01)
    return {"n": n, "mark": leave_mark(ctx), "pid": os.getpid()}


@agent(max_concurrency=16)
async def steady(ctx: Context, n: int = 0, seconds: float = 0.3) -> dict[str, object]:
    print("begun")
    await asyncio.sleep(seconds)
    return {"n": n, "mark": leave_mark(ctx), "pid": os.getpid()}


@agent(max_concurrency=8)
def pooled(ctx: Context, n: int = 0, seconds: float = 0.1) -> dict[str, object]:
    print("begun")
    time.sleep(seconds)
    return {"n": n, "mark": leave_mark(ctx), "pid": os.getpid()}


@agent(max_concurrency=4, isolation="dedicated")
def own(ctx: Context, n: int = 0) -> dict[str, object]:
    time.sleep(0.1)
    return {"n": n, "mark": leave_mark(ctx), "pid": os.getpid()}


@agent(max_concurrency=4, retry=Retry(max_attempts=4, initial_backoff=0.1, backoff_multiplier=2))
async def flaky(ctx: Context, n: int = 0) -> dict[str, object]:
    await asyncio.sleep(0.02)
    if ctx.attempt < 3:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return {"n": n, "mark": leave_mark(ctx)}


@agent(triggers=every(seconds=1))
async def tick(ctx: Context) -> dict[str, object]:
    """Catches up with the latest, as is the default."""
    ctx.state["count"] = ctx.state.get("count", 0) + 1
    return {"mark": leave_mark(ctx), "count": ctx.state["count"]}


@agent(triggers=cron("* * * * * *", catch_up="all"))
async def tock(ctx: Context) -> dict[str, object]:
    """Catches up with every second."""
    return {"mark": leave_mark(ctx)}


@agent(triggers=every(seconds=1, catch_up="none", overlap="buffer_all"))
def thump(ctx: Context) -> dict[str, object]:
    """Catches up with nothing, and runs in a worker."""
    time.sleep(0.05)
    return {"mark": leave_mark(ctx)}
