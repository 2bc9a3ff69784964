"""An event loop that runs what is ready in an order of its own, by seed: orders that a real loop may have, and more."""

import asyncio
import random
from collections.abc import Callable, Coroutine, MutableSequence
from typing import Any, TypeVar

T = TypeVar("T")


class SeededLoop(asyncio.SelectorEventLoop):
    """Now and then shuffles which task goes on first; callbacks that are no tasks keep their order.

    What is drawn hangs on virtual time and not on how many turns there were: turns in which real things are waited
    for are more or fewer each time.

    Args:
        seed: Decides.
        often: How likely a turn of the loop is shuffled.
    """

    def __init__(self, seed: str, *, often: float = 0.5) -> None:
        super().__init__()
        self.moment: Callable[[], float] = lambda: 0.0
        self._seed = seed
        self._often = often
        self._last = -1.0
        self._chance = random.Random(seed)

    def _run_once(self) -> None:
        ready = self._ready
        tasks = [at for at, handle in enumerate(ready) if _of_task(handle)] if len(ready) > 1 else []
        if len(tasks) > 1:
            self._draw(ready, tasks)
        super()._run_once()  # type: ignore[misc]  # asyncio's own, in no stub

    def _draw(self, ready: MutableSequence[asyncio.Handle], tasks: list[int]) -> None:
        if (moment := self.moment()) != self._last:
            self._last, self._chance = moment, random.Random(f"{self._seed} at {moment}")
        if self._chance.random() < self._often:
            order = tasks[:]
            self._chance.shuffle(order)
            handles = list(ready)
            for at, instead in zip(tasks, order, strict=True):
                ready[at] = handles[instead]


def _of_task(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)


def run_seeded(main: Coroutine[Any, Any, T], seed: str) -> T:
    """Runs to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: SeededLoop(seed)) as runner:
        return runner.run(main)
