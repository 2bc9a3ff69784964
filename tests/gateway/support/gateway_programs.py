"""Programs that the gateway's tests run: they echo, wait to be let go, fail, talk, or refuse to end."""

import asyncio
from typing import Any

from nightcrew.agent import Context, agent

GATES: dict[str, asyncio.Event] = {}
"""By name: a program that waits at one goes on once a test has set it."""


def gate(name: str) -> asyncio.Event:
    return GATES.setdefault(name, asyncio.Event())


@agent(start=False)
async def echo(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the name binds the whole input
    return input


@agent(start=False)
async def hold(ctx: Context, gate_name: str = "") -> str:
    await gate(gate_name or ctx.agent_id).wait()
    return "let go"


@agent(start=False)
async def stubborn(ctx: Context) -> str:
    """Ends only when its gate is open, whatever is asked of it before."""
    while not gate(ctx.agent_id).is_set():
        try:
            await gate(ctx.agent_id).wait()
        except asyncio.CancelledError:
            continue
    return "at last"


@agent(start=False)
async def fail() -> None:
    raise ValueError("boom")


@agent(start=False)
async def talk(ctx: Context, lines: int = 3) -> str:
    for number in range(int(lines)):
        message = f"line {number}"
        ctx.log.info(message, number=number)
    ctx.log.warning("said it all", lines=lines)
    return "done"


@agent(start=False)
async def big(size: int = 0) -> str:
    return "x" * int(size)


@agent(start=False)
def plain() -> str:
    return "in a worker"


@agent(start=False, max_concurrency=0)
async def approval(ctx: Context, what: str = "it") -> Any:
    await ctx.signal_url("approve", expires=3600)
    await ctx.signal_url("approve", payload={"ok": False})
    return await ctx.wait_signal("approve", message=f"May I publish <{what}>?")
