"""A store that fails when it is told to: before a unit of work, after its commit, late, or for good, as at a kill."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from nightcrew.domain.errors import CommitUnknown, StoreError
from nightcrew.ports.store import Transaction
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

LATE = 7.0
"""Seconds (virtual) by which a delay keeps a caller waiting: longer than most things take."""
READ = "read"


class Fault(StrEnum):
    """What becomes of a call of the store."""

    BEFORE = "error before"
    AFTER = "error after the commit"
    DELAY = "delay before"
    LATE = "delay after the commit"
    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after the commit"


WRITES = tuple(Fault)
READS = (Fault.BEFORE, Fault.DELAY, Fault.KILL_BEFORE)


class Faults:
    """Which call of the store fails how: by its number, or by chance.

    Args:
        at: Faults by the number of the call, from 0, while it is armed.
        chance: Decides the others.
        rates: How likely each fault is, by chance.

    Attributes:
        calls: How many calls were counted, and what they were.
        killed: Whether the runtime is dead: nothing it calls is answered any more.
        starting: Whether it starts: virtual time stands still then, so nothing may be late.
    """

    def __init__(
        self,
        at: Mapping[int, Fault] | None = None,
        *,
        chance: random.Random | None = None,
        rates: Mapping[Fault, float] | None = None,
    ) -> None:
        self.calls: list[str] = []
        self.armed = False
        self.killed = False
        self.starting = False
        self.dealt: Counter[Fault] = Counter()
        self._at = dict(at or {})
        self._chance = chance or random.Random(0)
        self._rates = dict(rates or {})
        self._buried = asyncio.Event()

    def of(self, kind: str) -> Fault | None:
        """The fault of the next call, of a write or a read."""
        if not self.armed:
            return None
        fault = self._at.get(len(self.calls)) or self._by_chance()
        self.calls.append(kind)
        if fault is None or (kind == READ and fault not in READS):
            return None
        if self.starting and fault not in {Fault.BEFORE, Fault.AFTER}:
            return None
        self.dealt[fault] += 1
        return fault

    def _by_chance(self) -> Fault | None:
        throw = self._chance.random()
        for fault, rate in self._rates.items():
            throw -= rate
            if throw < 0:
                return fault
        return None

    def late(self) -> float:
        """For how long a call is late."""
        return LATE * self._chance.choice([0.01, 0.1, 1.0]) if self._rates else LATE

    async def die(self) -> None:
        """The runtime is dead from here on: who calls waits, and gets nothing done while it is put away."""
        if not self.killed:
            self.killed, self._buried = True, asyncio.Event()
        await self._buried.wait()
        raise StoreError("the store is closed", metadata={"cause": "closed"})

    def bury(self) -> None:
        """The dead runtime is put away: whoever waits in it need not any more."""
        self._buried.set()


class FaultyBox(Box):
    """A box whose store fails as it is told to.

    Args:
        agents: As a box's.
        faults: When it fails.
        options: As a box's.
    """

    def __init__(self, *agents: Any, faults: Faults, **options: Any) -> None:
        self.faults = faults
        super().__init__(*agents, **options)

    def _make(self) -> None:
        super()._make()
        _spoil(self.engine.store, self.faults, self.clock)

    async def stop(self) -> None:
        """Ends it; of one that was killed nothing more reaches the file."""
        self.faults.bury()
        await super().stop()
        # A program that cleans up when it is cancelled outlives its runtime here, as it would not in a process.
        left = [one for one in asyncio.all_tasks() if one.get_name().startswith("inline:")]
        for one in left:
            one.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _start(self) -> None:
        self.faults.starting, self.faults.killed = True, False
        try:
            await super()._start()
        finally:
            self.faults.starting = False


def _spoil(store: Any, faults: Faults, clock: ManualClock) -> None:
    write, fetch = store.write, store.reads._pool.fetch

    async def faulty_write(unit: Callable[[Transaction], Any]) -> Any:
        if faults.killed:
            await faults.die()
        fault = faults.of(unit_name(unit))
        match fault:
            case Fault.BEFORE:
                raise StoreError("the disk is full", metadata={"cause": "disk_full"})
            case Fault.DELAY:
                await clock.sleep(faults.late())
            case Fault.KILL_BEFORE:
                await faults.die()
        value = await write(unit)
        match fault:
            case Fault.AFTER:
                raise CommitUnknown(
                    "whether the commit took place is not known", metadata={"cause": "io_error"}
                )
            case Fault.LATE:
                await clock.sleep(faults.late())
            case Fault.KILL_AFTER:
                await faults.die()
        if faults.killed:
            await faults.die()
        return value

    async def faulty_fetch(*args: Any) -> Any:
        if faults.killed:
            await faults.die()
        match faults.of(READ):
            case Fault.BEFORE:
                raise StoreError("the file can't be read", metadata={"cause": "io_error"})
            case Fault.DELAY:
                await clock.sleep(faults.late())
            case Fault.KILL_BEFORE:
                await faults.die()
        return await fetch(*args)

    store.write = faulty_write
    store.reads._pool.fetch = faulty_fetch


def unit_name(unit: Callable[..., Any]) -> str:
    """Whose unit of work it is, for messages: the function that made it."""
    if unit.__closure__ is not None and unit.__name__ == "whole":
        for cell in unit.__closure__:
            if callable(cell.cell_contents) and hasattr(cell.cell_contents, "__qualname__"):
                return str(cell.cell_contents.__qualname__)
    return unit.__qualname__
