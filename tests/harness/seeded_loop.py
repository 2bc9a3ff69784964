"""An event loop that runs what is ready in an order of its own, by seed: orders that a real loop may have, and more."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SeededLoop(asyncio.SelectorEventLoop):
    """Now and then shuffles which task goes on first; callbacks that are no tasks keep their order.

    Args:
        chance: Decides.
        often: How likely a turn of the loop is shuffled.
    """

    def __init__(self, chance: random.Random, *, often: float = 0.5) -> None:
        super().__init__()
        self._chance = chance
        self._often = often

    def _run_once(self) -> None:
        ready = self._ready
        if len(ready) > 1 and self._chance.random() < self._often:
            tasks = [at for at, handle in enumerate(ready) if _of_task(handle)]
            order = tasks[:]
            self._chance.shuffle(order)
            handles = list(ready)
            for at, instead in zip(tasks, order, strict=True):
                ready[at] = handles[instead]
        super()._run_once()


def _of_task(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)


def run_seeded(main: Coroutine[Any, Any, T], chance: random.Random) -> T:
    """Runs to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: SeededLoop(chance)) as runner:
        return runner.run(main)
