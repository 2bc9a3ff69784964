"""Small lives that have no room of their own: they open something or do one step, wait, and close."""

import asyncio
from collections.abc import Awaitable, Callable

from nightcrew.actor.child import Ready, Start
from nightcrew.ports.store import Store


def opened(store: Store) -> Start:
    """The store's life: open while it serves."""

    async def life(ready: Ready) -> None:
        await store.open()
        try:
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            await store.close()

    return life


def after(step: Callable[[], Awaitable[object]]) -> Start:
    """A life that does one thing when it starts, then waits."""

    async def life(ready: Ready) -> None:
        await step()
        ready()
        await asyncio.get_running_loop().create_future()

    return life
