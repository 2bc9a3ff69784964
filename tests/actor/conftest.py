"""A stage for supervisors: puppets that do what a test says, a clock that a test moves, a check for leaks."""

import asyncio
from collections import defaultdict

import pytest

from nightcrew.actor.child import ChildSpec
from nightcrew.domain.restart import RestartRule
from nightcrew.testing.clock import ManualClock


class Stage:
    """Makes children that write what happens to them into `log` and obey `fail`, `finish` and the switches."""

    def __init__(self):
        self.clock = ManualClock()
        self.log = []
        self.runs = defaultdict(int)
        self.start_errors = defaultdict(list)  # id -> errors of the next starts, in order
        self.never_ready = set()
        self.held = {}  # id -> an event that its start waits for
        self.cleanup = {}  # id -> seconds that its clean-up takes
        self.stubborn = defaultdict(int)  # id -> how many cancels it ignores
        self.free = RestartRule(intensity=1000, period=1.0, initial_backoff=0.0, max_backoff=0.0)
        self._fates = {}
        self._tasks = []
        self.ready = []

    def spec(self, id_, **options):
        async def life(ready):
            await self._live(id_, ready)

        return ChildSpec(id_, life, **options)

    async def _live(self, id_, ready):
        self.runs[id_] += 1
        self.log.append(f"+{id_}")
        fate = self._fates[id_] = asyncio.get_running_loop().create_future()
        try:
            if id_ in self.held:
                await self.held[id_].wait()
            if self.start_errors[id_]:
                raise self.start_errors[id_].pop(0)
            if id_ not in self.never_ready:
                ready()
            await self._wait_for(id_, fate)
        except asyncio.CancelledError:
            if id_ in self.cleanup:
                await self.clock.sleep(self.cleanup[id_])
            raise
        finally:
            self.log.append(f"-{id_}")

    async def _wait_for(self, id_, fate):
        while True:
            try:
                return await asyncio.shield(fate)
            except asyncio.CancelledError:
                if not self.stubborn[id_]:
                    raise
                self.stubborn[id_] -= 1
                self.log.append(f"!{id_}")

    def release(self, id_):
        self.held.pop(id_).set()

    async def fail(self, id_, error=None):
        self._fates[id_].set_exception(error or ValueError(f"{id_} broke"))
        await self.clock.settle()

    async def finish(self, id_):
        self._fates[id_].set_result(None)
        await self.clock.settle()

    def run(self, supervisor):
        """The app's part: runs a root supervisor. Those that said they are ready are in `ready`."""
        root = []
        task = asyncio.get_running_loop().create_task(
            supervisor.run(lambda: self.ready.extend(root)), name="root"
        )
        root.append(task)
        self._tasks.append(task)
        return task

    async def up(self, supervisor):
        task = self.run(supervisor)
        await self.clock.settle()
        assert self.ready.count(task) == 1
        return task

    async def down(self, task):
        """Cancels a root and moves the clock until it has ended."""
        task.cancel()
        return await self.end_of(task)

    async def end_of(self, task):
        for _ in range(1000):
            await self.clock.settle()
            if task.done():
                return None if task.cancelled() else task.exception()
            assert await self.clock.leap_to_next(), "the supervisor waits for nothing"
        raise AssertionError("the supervisor does not end")

    async def close(self):
        for task in self._tasks:
            if not task.done():
                await self.down(task)


@pytest.fixture
async def stage():
    stage = Stage()
    yield stage
    await stage.close()
    await stage.clock.settle()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
