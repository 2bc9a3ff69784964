"""What a runtime under load has to take: kills of it, of its start and of its workers, drains, and a stopped clock."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Sequence

import psutil
from tests.harness.process import RuntimeProcess

KILL, DIE_IN_START, DRAIN, FREEZE, WORKER = "kill", "die in its start", "drain", "freeze", "kill a worker"
ALL: Sequence[str] = (KILL, DIE_IN_START, DRAIN, FREEZE, WORKER)


class Blows:
    """Deals blows to one runtime, and keeps count.

    Args:
        crew: The runtime; it serves, and serves again after each blow.
        chance: Chooses the moments.
    """

    def __init__(self, crew: RuntimeProcess, chance: random.Random) -> None:
        self._crew = crew
        self._chance = chance
        self.dealt: dict[str, int] = {}
        self.starts: list[float] = []

    async def deal(self, blow: str) -> None:
        """Lets the runtime serve for a while, then deals one."""
        await asyncio.sleep(
            0.3 + 1.7 * self._chance.random()
        )  # any moment will do: there is nothing to wait for
        self.dealt[blow] = self.dealt.get(blow, 0) + 1
        match blow:
            case "kill":
                await asyncio.to_thread(self._crew.kill)
                await self._start()
            case "die in its start":
                await asyncio.to_thread(self._crew.kill)
                self._crew.launch()
                await asyncio.sleep(1.2 * self._chance.random())
                await asyncio.to_thread(self._crew.kill)
                await self._start()
            case "drain":
                assert await asyncio.to_thread(self._crew.stop) == 0
                await self._start()
            case "freeze":
                self._crew.signal(signal.SIGSTOP)
                await asyncio.sleep(3 * self._chance.random())
                self._crew.signal(signal.SIGCONT)
            case "kill a worker":
                workers = self._crew.workers()
                if workers:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        self._chance.choice(workers).kill()
            case _:
                raise ValueError(blow)

    async def _start(self) -> None:
        begin = time.monotonic()
        await asyncio.to_thread(self._crew.start)
        self.starts.append(time.monotonic() - begin)
