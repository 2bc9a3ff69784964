"""What a runtime under load has to take: kills of it, of its start and of its workers, drains, and a stopped clock."""

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence

import psutil
from tests.harness.process import RuntimeProcess

KILL, DIE_IN_START, DRAIN, FREEZE, WORKER = "kill", "die in its start", "drain", "freeze", "kill a worker"
ALL: Sequence[str] = (KILL, DIE_IN_START, DRAIN, FREEZE, WORKER)
LONG_FREEZE, FREEZE_WORKER, LOCK = "freeze for 30 s", "freeze a worker", "lock the file"
OFTEN: Sequence[str] = (KILL, KILL, KILL, DIE_IN_START, DRAIN, FREEZE, WORKER, WORKER, FREEZE_WORKER, LOCK)
EVERY = 3
"""Rounds of `OFTEN` between two long freezes."""


def endless(chance: random.Random) -> Iterator[str]:
    """Blows without end, in rounds: each round has all of `OFTEN` in an order of its own, and some a long freeze."""
    rounds = 0
    while True:
        blows = [*OFTEN, *([LONG_FREEZE] if rounds % EVERY == 0 else [])]
        chance.shuffle(blows)
        yield from blows
        rounds += 1


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
            case "freeze for 30 s":
                await self._freeze(psutil.Process(self._crew.pid), 30)
            case "freeze a worker":
                workers = self._crew.workers()
                if workers:
                    await self._freeze(self._chance.choice(workers), 4 * self._chance.random())
            case "lock the file":
                await asyncio.to_thread(self._lock, 1 + 4 * self._chance.random())
            case _:
                raise ValueError(blow)

    async def _freeze(self, process: psutil.Process, seconds: float) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
            try:
                await asyncio.sleep(seconds)
            finally:
                process.resume()

    def _lock(self, seconds: float) -> None:
        """Another process writes to the file, and takes its time: longer than a statement waits for it."""
        with contextlib.closing(
            sqlite3.connect(self._crew.data / "nightcrew.db", timeout=30, isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")

    async def _start(self) -> None:
        begin = time.monotonic()
        await asyncio.to_thread(self._crew.start)
        self.starts.append(time.monotonic() - begin)
