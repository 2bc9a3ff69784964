"""Agents that do what they must not, and neighbours that must not notice."""

import asyncio
import ctypes
import os
import time
from typing import Any

from nightcrew.agent import Context, agent, every

SHORT = {"timeout": 1.5, "cancel_grace": 0.5}
LONGER = {"timeout": 3, "cancel_grace": 0.5}  # their worker may have to start first


@agent(triggers=every(seconds=1))
async def heart(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)


@agent(triggers=every(seconds=1, overlap="buffer_all"), isolation="dedicated")
def pulse(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)


# ---- on the runtime's own loop -------------------------------------------------------------------------------


class Oops(BaseException):
    pass


@agent
async def raises(ctx: Context) -> None:
    raise ValueError("a bad day")


@agent
async def returns(ctx: Context, what: str) -> Any:
    return _value(what)


@agent
async def exits(ctx: Context) -> None:
    raise SystemExit(7)


@agent
async def interrupts(ctx: Context) -> None:
    raise KeyboardInterrupt


@agent
async def base(ctx: Context) -> None:
    raise Oops("not an Exception")


@agent
async def recurses(ctx: Context) -> int:
    return await recurses(ctx)


@agent(**SHORT)
async def sleeps(ctx: Context) -> None:
    await asyncio.sleep(3600)


@agent(cancel_grace=0.5)
async def swallows(ctx: Context) -> None:
    print("swallowing")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass


@agent(**SHORT)
async def prints(ctx: Context) -> None:
    while True:
        print("x" * 100)
        await asyncio.sleep(0)


@agent
async def blocks(ctx: Context) -> str:
    time.sleep(2)
    return "blocked"


@agent
async def cancels_itself(ctx: Context) -> None:
    raise asyncio.CancelledError


# ---- in worker processes -------------------------------------------------------------------------------------


@agent
def worker_raises(ctx: Context) -> None:
    raise ValueError("a bad day")


@agent
def worker_returns(ctx: Context, what: str) -> Any:
    return _value(what)


@agent
def worker_exits(ctx: Context) -> None:
    raise SystemExit(7)


@agent
def worker_base(ctx: Context) -> None:
    raise Oops("not an Exception")


@agent
def worker_recurses(ctx: Context) -> int:
    return worker_recurses(ctx)


@agent(**LONGER)
def worker_spins(ctx: Context) -> None:
    print("begun")
    while True:
        pass


@agent(**LONGER)
def worker_sleeps(ctx: Context) -> None:
    print("begun")
    time.sleep(3600)


@agent(cancel_grace=0.5)
def worker_stays(ctx: Context) -> None:
    print("staying")
    time.sleep(3600)


@agent(**LONGER)
def worker_prints(ctx: Context) -> None:
    while True:
        print("x" * 100)


@agent(isolation="pool", **LONGER)
async def worker_blocks_its_loop(ctx: Context) -> None:
    print("begun")
    time.sleep(3600)


@agent
def worker_leaves(ctx: Context) -> None:
    os._exit(3)


@agent
def worker_crashes(ctx: Context) -> None:
    ctypes.string_at(0)


@agent
def worker_hoards(ctx: Context) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.001)


def _value(what: str) -> Any:
    return {
        "set": {1, 2},
        "object": object(),
        "nan": float("nan"),
        "deep nan": {"a": [1, float("inf")]},
        "keys": {1: 2},
        "bytes": b"x",
        "big": "x" * (2 * 1024 * 1024),
    }[what]
