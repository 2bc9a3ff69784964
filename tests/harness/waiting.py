"""Waiting for a condition with a deadline, in sync and in async tests."""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

LENIENCE = 3.0
"""Bounds are met only by a test that fails, so a machine that is busy gets several times what a quiet one needs."""


async def holds(
    condition: Callable[[], object], *, within: float = 10.0, what: str = "a condition", every: float = 0.02
) -> None:
    """Returns once the condition holds, and lets other tasks run meanwhile."""
    end = time.monotonic() + within * LENIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {within * LENIENCE:g} s in vain for {what}"
        await asyncio.sleep(every)


async def everything(items: AsyncIterable[T]) -> list[T]:
    """All that an async iterable gives."""
    return [one async for one in items]


def nothing() -> str:
    """Nothing to say."""
    return ""


def until(
    condition: Callable[[], object],
    *,
    within: float = 10.0,
    what: str = "a condition",
    say: Callable[[], str] = nothing,
    every: float = 0.02,
) -> None:
    """Returns once the condition holds; fails when it does not in time, saying what was waited for."""
    end = time.monotonic() + within * LENIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {within * LENIENCE:g} s in vain for {what}\n{say()}"
        time.sleep(every)


async def eventually(
    look: Callable[[], Awaitable[T]],
    holds: Callable[[T], object] = bool,
    *,
    within: float = 10.0,
    what: str = "a condition",
    say: Callable[[], str] = nothing,
    every: float = 0.05,
) -> T:
    """Looks until what is seen holds, and gives it."""
    end = time.monotonic() + within * LENIENCE
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert time.monotonic() < end, (
            f"waited {within * LENIENCE:g} s in vain for {what}; the last look: {seen!r}\n{say()}"
        )
        await asyncio.sleep(every)
