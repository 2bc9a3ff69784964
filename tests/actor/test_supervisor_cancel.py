"""A root that is cancelled in any turn of a busy life leaves no task, no timer, and no child half ended."""

import asyncio
import contextlib

import pytest

from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.testing.clock import ManualClock


def tree(stage, *, rule):
    """Three floors with every kind of child; the stage's switches make its phases long."""
    leaf = Supervisor(
        "leaf",
        [stage.spec("x"), stage.spec("y")],
        clock=stage.clock,
        strategy=Strategy.ONE_FOR_ALL,
        rule=rule,
    )
    dynamic = Supervisor("dynamic", clock=stage.clock, rule=rule)
    root = Supervisor(
        "root",
        [stage.spec("a"), leaf.as_child(), dynamic.as_child(), stage.spec("b")],
        clock=stage.clock,
        strategy=Strategy.REST_FOR_ONE,
        rule=rule,
    )
    return root, dynamic


class Cut(Exception):  # noqa: N818 - it is no error
    """Ends the script at a turn of the loop."""


class CuttingClock(ManualClock):
    """Counts the loop's turns, and raises Cut after so many."""

    def __init__(self, last):
        super().__init__()
        self.last = last
        self.turns = 0

    async def settle(self):
        ready = asyncio.get_running_loop()._ready
        while True:
            if self.turns == self.last:
                raise Cut
            self.turns += 1
            await asyncio.sleep(0)
            if not ready:
                return


async def script(stage, dynamic):
    """A life with starts, failures, back-offs, a slow restart and stops."""
    await stage.clock.settle()
    starting = asyncio.create_task(dynamic.start_child(stage.spec("d1", restart=RestartMode.TEMPORARY)))
    await stage.clock.settle()
    await starting
    dynamic.spawn(stage.spec("d2"))
    await stage.clock.settle()
    await stage.fail("d2")
    await stage.fail("x")
    await stage.clock.advance(0.2)
    ending = asyncio.create_task(dynamic.terminate_child("d1"))
    stage.held["y"] = asyncio.Event()
    await stage.clock.advance(8)
    await ending
    stage.release("y")
    await stage.clock.settle()
    await stage.fail("a")
    await stage.clock.advance(20)


TURNS = 100


def begin(stage, last):
    stage.clock = CuttingClock(last)
    rule = RestartRule(intensity=50, period=1000, initial_backoff=0.5, max_backoff=2)
    stage.cleanup = {"x": 0.3, "b": 0.2}
    stage.stubborn["y"] = 1
    root, dynamic = tree(stage, rule=rule)
    return root, stage.run(root), script(stage, dynamic)


async def test_the_script_runs_to_its_end_within_the_turns_below(stage):
    root, _, scripted = begin(stage, None)
    await scripted
    assert {row.state.value for row in root.components()} == {"RUNNING"}
    assert {row.id: row.restarts for row in root.components()}["root/b"] >= 1
    assert TURNS * 0.8 < stage.clock.turns < TURNS


@pytest.mark.parametrize("turn", range(TURNS))
async def test_a_cancel_in_any_turn_leaves_no_task_and_no_timer(stage, turn):
    _, task, scripted = begin(stage, turn)
    with contextlib.suppress(Cut):
        await scripted
    stage.clock.last = None
    task.cancel()
    await stage.end_of(task)
    assert task.cancelled()
    await stage.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert stage.clock.pending == 0
    assert sum(line[0] == "+" for line in stage.log) == sum(line[0] == "-" for line in stage.log)
