"""The engine as a whole: its tree, components that fail under work, gateways that are told, drains and stops."""

import asyncio

import pytest

from nightcrew.actor.errors import StartFailed
from nightcrew.agent import agent, every
from nightcrew.app.engine import Engine
from nightcrew.config.settings import load_settings
from nightcrew.domain.execution import ExecutionState
from nightcrew.services.once import Request
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.testing.box import Box

LEFT_TO_RIGHT = ["store", "log", "hosts", "executor", "agents", "catalog", "keepers"]


def working():
    begun = []

    @agent(triggers=[every(seconds=10)], overlap="buffer_all")
    async def work(seconds: float = 0):
        begun.append(seconds)
        if seconds and begun.count(seconds) == 1:
            await asyncio.get_running_loop().create_future()
        return "done"

    work.begun = begun
    return work


async def crash(box, component):
    """Ends a component's task from outside, which its supervisor takes for a failure."""
    (task,) = [one for one in asyncio.all_tasks() if one.get_name() == f"nightcrew/{component}"]
    task.cancel()
    await box.settle()


def restarts(box):
    return {
        one.id.removeprefix("nightcrew/"): one.restarts
        for one in box.engine.components()
        if one.id.count("/") == 1
    }


async def test_the_tree_is_grown_from_left_to_right(tmp_path):
    async with Box(folder=tmp_path) as box:
        assert list(restarts(box)) == LEFT_TO_RIGHT


@pytest.mark.parametrize("component", LEFT_TO_RIGHT)
async def test_what_depends_on_a_component_that_failed_is_started_again_and_work_goes_on(tmp_path, component):
    work = working()
    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work", {"seconds": 99.0})
        await box.advance(25)
        await crash(box, component)
        await box.advance(25)
        position = LEFT_TO_RIGHT.index(component)
        counts = restarts(box)
        assert [counts[one] for one in LEFT_TO_RIGHT] == [0] * position + [1] * (7 - position)
        # What ran in a part of the tree that ended is handed back and goes on; else it was not disturbed.
        row = await box.execution(run.id)
        if position <= LEFT_TO_RIGHT.index("executor"):
            assert (row.state, row.interruptions) == (ExecutionState.SUCCEEDED, 1)
            assert all(one.state is ExecutionState.SUCCEEDED for one in await box.executions("work"))
        else:
            assert (row.state, row.interruptions) == (ExecutionState.RUNNING, 0)
            await box.services.agents.update(
                "work", {}, paths=["spec.execution.max_concurrency"], etag="", request=Request(method="test")
            )
        fires = [(one.nominal_time - box.clock.now()).total_seconds() for one in await box.fires("work")]
        assert fires == [-40, -30, -20, -10, 0]


class Gateway:
    """A way in that writes down what it is told (app.engine.Gateway)."""

    port = 0

    def __init__(self, *, fails=False):
        self.told, self.fails = [], fails

    async def serve(self, ready):
        if self.fails:
            raise OSError("the port is taken")
        self.told.append("serves")
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.told.append("ended")

    def refuse(self):
        self.told.append("refuses")


async def test_gateways_open_last_refuse_first_and_end_before_the_rest(tmp_path):
    gateway = Gateway()
    box = Box(folder=tmp_path)
    box.engine.open_to("door", gateway)
    async with box:
        assert gateway.told == ["serves"]
        assert list(restarts(box)) == [*LEFT_TO_RIGHT, "gateways"]
        box.engine.drain(0)
        await box.settle()
    assert gateway.told == ["serves", "refuses", "ended"]
    assert box.engine.ending


async def test_a_gateway_that_can_not_open_keeps_it_from_starting_and_the_store_is_closed(tmp_path):
    box = Box(folder=tmp_path)
    box.engine.open_to("door", Gateway(fails=True))
    with pytest.raises(StartFailed) as caught:
        await box.__aenter__()
    error: BaseException = caught.value
    while error.__cause__ is not None:
        error = error.__cause__
    assert str(error) == "the port is taken"
    async with Box(folder=tmp_path):  # its folder is free again
        pass


async def test_a_second_drain_stops_at_once(tmp_path):
    work = working()
    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work", {"seconds": 99.0})
        box.engine.drain(1000)
        await box.advance(5)
        assert not box.engine.ending
        box.engine.drain()
        await box.settle()
        assert box.engine.ending
    async with Box(work, folder=tmp_path, clock=box.clock) as box:
        assert (await box.execution(run.id)).unclean == 1


async def test_it_leaves_no_task_behind(tmp_path):
    before = asyncio.all_tasks()
    work = working()
    for _ in range(2):
        async with Box(work, folder=tmp_path) as box:
            await box.trigger("work", {"seconds": 99.0})
            await box.advance(15)
    assert asyncio.all_tasks() == before


async def test_on_the_real_clock_it_serves_and_stops_as_well(tmp_path):
    engine = Engine(load_settings(data=tmp_path), clock=SystemClock(), ids=SystemIds())
    assert engine.components() == [engine._root.components()[0]]
    ready = asyncio.Event()
    life = asyncio.create_task(engine.run(ready.set))
    await asyncio.wait_for(ready.wait(), 10)
    engine.drain(5)
    await asyncio.wait_for(life, 10)
