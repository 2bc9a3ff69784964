"""How keepers wait: until a moment, until a poke, and never longer than a bound."""

import asyncio
from collections.abc import Mapping
from typing import Final

from nightcrew.crew.bus import Signal
from nightcrew.ports.clock import Clock

PATIENCE: Final = 30.0
"""Seconds that a keeper sleeps at most (semantics.md): pokes are hints, the table is the truth, and a wall clock
that was set must be noticed."""


async def wait_for_poke(clock: Clock, signal: Signal, version: int, seconds: float) -> None:
    """Returns once `signal` is past `version`, or after so many seconds of the clock."""
    if signal.version != version or seconds <= 0:
        return
    timer = clock.call_later(seconds, signal.poke)
    try:
        await signal.wait_past(version)
    finally:
        timer.cancel()
    await asyncio.sleep(0)


async def wait_for_any(clock: Clock, versions: Mapping[Signal, int], seconds: float) -> None:
    """Returns once one of the signals is past its version, or after so many seconds of the clock."""
    if seconds <= 0 or any(signal.version != version for signal, version in versions.items()):
        return
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = clock.call_later(seconds, wake)
    for signal in versions:
        signal.join(waiter)
    try:
        await waiter
    finally:
        timer.cancel()
        for signal in versions:
            signal.leave(waiter)
