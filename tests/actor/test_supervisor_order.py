"""Ordered start and stop with time limits, start failures, stubborn children, and cancels in any phase."""

import asyncio
import logging
import math

import pytest

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.errors import EndedEarly, StartFailed, StartTimeout, SupervisorGaveUp
from nightcrew.actor.run import KILL_GRACE
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode


def states(supervisor):
    return {row.id.partition("/")[2]: row.state.value for row in supervisor.components() if row.parent}


def make(stage, *specs, **options):
    return Supervisor("root", specs, clock=stage.clock, **options)


async def test_each_child_starts_when_the_one_before_it_is_ready(stage):
    for id_ in "ab":
        stage.held[id_] = asyncio.Event()
    supervisor = make(stage, *map(stage.spec, "abc"))
    task = stage.run(supervisor)
    await stage.clock.settle()
    assert states(supervisor) == {"a": "STARTING", "b": "STOPPED", "c": "STOPPED"}
    stage.release("a")
    await stage.clock.settle()
    assert states(supervisor) == {"a": "RUNNING", "b": "STARTING", "c": "STOPPED"}
    assert stage.log == ["+a", "+b"]
    assert task not in stage.ready
    stage.release("b")
    await stage.clock.settle()
    assert states(supervisor) == dict.fromkeys("abc", "RUNNING")
    assert stage.log == ["+a", "+b", "+c"]
    assert task in stage.ready


@pytest.mark.parametrize("way", ["cancel", "stop"])
async def test_children_stop_from_right_to_left_each_after_the_one_before(stage, way):
    stage.cleanup = {"a": 1, "b": 2, "c": 3}
    supervisor = make(stage, *map(stage.spec, "abc"))
    task = await stage.up(supervisor)
    stage.log.clear()
    task.cancel() if way == "cancel" else supervisor.stop()
    await stage.clock.settle()
    assert states(supervisor) == {"a": "RUNNING", "b": "RUNNING", "c": "STOPPING"}
    await stage.clock.advance(3)
    assert stage.log == ["-c"]
    assert states(supervisor) == {"a": "RUNNING", "b": "STOPPING", "c": "STOPPED"}
    await stage.clock.advance(2)
    assert stage.log == ["-c", "-b"]
    await stage.clock.advance(1)
    assert stage.log == ["-c", "-b", "-a"]
    assert task.done()
    assert task.cancelled() == (way == "cancel")
    assert states(supervisor) == dict.fromkeys("abc", "STOPPED")
    assert stage.clock.pending == 0


async def test_a_first_start_that_fails_stops_those_that_run_and_ends_the_supervisor(stage):
    stage.start_errors["c"].append(OSError("port in use"))
    task = stage.run(make(stage, *map(stage.spec, "abcd")))
    with pytest.raises(StartFailed, match="'c' did not start: OSError: port in use") as failed:
        await task
    assert isinstance(failed.value.__cause__, OSError)
    assert stage.log == ["+a", "+b", "+c", "-c", "-b", "-a"]
    assert task not in stage.ready


@pytest.mark.parametrize("mode", [RestartMode.TRANSIENT, RestartMode.TEMPORARY, RestartMode.PERMANENT])
async def test_a_child_that_returns_before_it_is_ready_had_nothing_to_do_unless_permanent(stage, mode):
    async def nothing(_):
        await asyncio.sleep(0)

    supervisor = make(stage, ChildSpec("a", nothing, restart=mode), stage.spec("b"))
    task = stage.run(supervisor)
    await stage.clock.settle()
    if mode is RestartMode.PERMANENT:
        with pytest.raises(StartFailed) as failed:
            await task
        assert isinstance(failed.value.__cause__, EndedEarly)
    else:
        assert task in stage.ready
        shown = {"a": "STOPPED"} if mode is RestartMode.TRANSIENT else {}
        assert states(supervisor) == {**shown, "b": "RUNNING"}


async def test_a_start_that_cannot_be_called_is_a_failed_start(stage):
    def broken(ready):
        raise TypeError("not today")

    def no_coroutine(ready):
        return 42

    for start, text in ((broken, "not today"), (no_coroutine, "a coroutine was expected")):
        with pytest.raises(StartFailed, match=text):
            await stage.run(make(stage, ChildSpec("a", start)))


async def test_a_child_that_is_not_ready_in_time_is_stopped_and_has_failed(stage):
    stage.held["b"] = asyncio.Event()
    task = stage.run(make(stage, stage.spec("a"), stage.spec("b", start_timeout=7)))
    await stage.clock.advance(6.9)
    assert not task.done()
    await stage.clock.advance(0.1)
    with pytest.raises(StartFailed, match="'b' did not start: StartTimeout: was not ready in 7 s") as failed:
        await task
    assert isinstance(failed.value.__cause__, StartTimeout)
    assert stage.log == ["+a", "+b", "-b", "-a"]


async def test_a_start_timeout_of_a_restart_counts_as_a_failure(stage):
    rule = RestartRule(intensity=1, period=60, initial_backoff=0, max_backoff=0)
    task = await stage.up(make(stage, stage.spec("a", start_timeout=5), rule=rule))
    stage.never_ready.add("a")
    await stage.fail("a")
    await stage.clock.advance(5)
    with pytest.raises(SupervisorGaveUp) as gave_up:
        await task
    assert isinstance(gave_up.value.__cause__, StartTimeout)


async def test_ready_after_the_timeout_does_not_count(stage):
    async def late(ready):
        try:
            await asyncio.sleep(math.inf)
        except asyncio.CancelledError:
            ready()
            raise

    task = stage.run(make(stage, ChildSpec("a", late, start_timeout=3)))
    await stage.clock.advance(3)
    with pytest.raises(StartFailed, match="was not ready in 3 s"):
        await task
    assert task not in stage.ready


async def test_a_child_that_ignores_its_cancel_is_cancelled_again_at_its_limit(stage):
    stage.stubborn["b"] = 1
    task = await stage.up(make(stage, stage.spec("a"), stage.spec("b", shutdown=4)))
    stage.log.clear()
    task.cancel()
    await stage.clock.advance(3.9)
    assert stage.log == ["!b"]
    await stage.clock.advance(0.1)
    assert stage.log == ["!b", "-b", "-a"]
    assert task.cancelled()


async def test_a_clean_up_over_its_limit_is_cut_short(stage):
    stage.cleanup["a"] = 60
    task = await stage.up(make(stage, stage.spec("a", shutdown=2)))
    task.cancel()
    await stage.clock.advance(2)
    assert stage.log == ["+a", "-a"]
    assert task.cancelled()


async def test_a_child_that_will_not_end_is_abandoned_loudly(stage, caplog):
    stage.stubborn["b"] = 10
    supervisor = make(stage, stage.spec("a"), stage.spec("b", shutdown=4))
    task = await stage.up(supervisor)
    task.cancel()
    await stage.clock.advance(4 + KILL_GRACE - 0.01)
    assert not task.done()
    await stage.clock.advance(0.01)
    assert task.cancelled()
    assert stage.log == ["+a", "+b", "!b", "!b", "-a"]
    record = next(r for r in caplog.records if "left behind" in r.message)
    assert record.levelno == logging.ERROR
    assert "root/b would not end though it was cancelled twice, and was left behind" in record.message
    assert "conftest.py" in record.message  # where it hangs
    row = supervisor.components()[2]
    assert (row.id, row.state.value) == ("root/b", "STOPPED")
    assert row.last_error.startswith("ChildAbandoned: root/b would not end")
    left = [t for t in asyncio.all_tasks() if t.get_name() == "root/b"]
    assert len(left) == 1
    await stage.fail("b", OSError("at last"))
    assert "root/b was left behind and has ended now" in caplog.text
    assert left[0].done()


async def test_an_abandoned_child_of_a_group_counts_nothing_and_the_group_goes_on(stage, caplog):
    stage.stubborn["b"] = 10
    supervisor = make(
        stage,
        stage.spec("a"),
        stage.spec("b", shutdown=1),
        strategy=Strategy.ONE_FOR_ALL,
        rule=stage.free,
    )
    await stage.up(supervisor)
    fate = stage._fates["b"]
    await stage.fail("a")
    await stage.clock.advance(1 + KILL_GRACE)
    assert states(supervisor) == {"a": "RUNNING", "b": "RUNNING"}
    assert (stage.runs["a"], stage.runs["b"]) == (2, 2)
    stage.stubborn["b"] = 0
    fate.set_result(None)
    await stage.clock.settle()
    assert "root/b was left behind and has ended now" in caplog.text
    assert states(supervisor) == {"a": "RUNNING", "b": "RUNNING"}


async def test_an_error_of_a_clean_up_is_told_and_harms_nothing(stage, caplog):
    async def life(ready):
        ready()
        try:
            await asyncio.sleep(math.inf)
        finally:
            raise OSError("could not flush")

    supervisor = make(stage, stage.spec("a"), ChildSpec("b", life))
    task = await stage.up(supervisor)
    assert await stage.down(task) is None
    assert stage.log == ["+a", "-a"]
    assert "root/b failed while it stopped" in caplog.text
    assert "could not flush" in caplog.text


async def test_no_child_comes_back_while_its_supervisor_stops(stage):
    stage.cleanup["c"] = 3
    rule = RestartRule(intensity=9, period=100, initial_backoff=1, max_backoff=1)
    supervisor = make(stage, *map(stage.spec, "abc"), rule=rule)
    task = await stage.up(supervisor)
    await stage.fail("a")  # would be back in 1 s
    task.cancel()
    await stage.clock.settle()
    await stage.fail("b")
    await stage.clock.advance(10)
    assert task.cancelled()
    assert stage.runs == {"a": 1, "b": 1, "c": 1}


async def test_a_second_cancel_kills_what_still_runs(stage, caplog):
    stage.cleanup = {"a": 100, "b": 100}
    stage.stubborn["c"] = 100
    task = await stage.up(
        make(
            stage,
            stage.spec("a", shutdown=math.inf),
            stage.spec("b", shutdown=math.inf),
            stage.spec("c", shutdown=math.inf),
        )
    )
    task.cancel()
    await stage.clock.advance(1000)
    assert not task.done()
    task.cancel()
    await stage.clock.advance(KILL_GRACE)
    assert task.cancelled()
    assert "out of time" in caplog.text
    assert stage.log.count("-a") == stage.log.count("-b") == 1
    stage.stubborn["c"] = 0
    await stage.finish("c")


async def test_a_supervisor_over_its_limit_kills_its_own_children_and_ends(stage):
    stage.cleanup = {"x": 100, "y": 100}
    inner = Supervisor(
        "inner",
        [stage.spec("x", shutdown=math.inf), stage.spec("y", shutdown=math.inf)],
        clock=stage.clock,
    )
    task = await stage.up(make(stage, stage.spec("a"), inner.as_child(shutdown=2)))
    task.cancel()
    await stage.clock.advance(1.9)
    assert not task.done()
    await stage.clock.advance(0.1)
    assert sorted(stage.log[3:5]) == ["-x", "-y"]
    assert stage.log[5:] == ["-a"]
    assert task.cancelled()


async def test_a_killed_tree_ends_to_its_leaves(stage):
    stage.cleanup = {"x": 100}
    inner = Supervisor("inner", [stage.spec("x", shutdown=math.inf)], clock=stage.clock)
    middle = Supervisor("middle", [inner.as_child()], clock=stage.clock)
    task = await stage.up(make(stage, middle.as_child()))
    task.cancel()
    await stage.clock.settle()
    task.cancel()
    await stage.clock.advance(KILL_GRACE)
    assert task.cancelled()
    assert stage.log == ["+x", "-x"]


async def test_a_supervisor_that_runs_cannot_be_run_twice(stage):
    supervisor = make(stage, stage.spec("a"))
    await stage.up(supervisor)
    with pytest.raises(RuntimeError, match="supervisor 'root' runs already"):
        await supervisor.run(lambda: None)
    assert states(supervisor) == {"a": "RUNNING"}


async def test_a_supervisor_can_run_again_and_forgets_the_last_time(stage):
    rule = RestartRule(intensity=1, period=60, initial_backoff=0, max_backoff=0)
    supervisor = make(stage, stage.spec("a"), rule=rule)
    for _ in range(3):
        task = await stage.up(supervisor)
        await stage.fail("a")
        assert not task.done()
        supervisor.stop()
        assert await stage.end_of(task) is None


async def test_every_task_has_a_name(stage):
    inner = Supervisor("inner", [stage.spec("x")], clock=stage.clock)
    await stage.up(make(stage, stage.spec("a"), inner.as_child()))
    names = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert names == {"root", "root/a", "root/inner", "inner/x"}


async def test_a_killed_supervisor_is_waited_for_and_only_its_child_is_left_behind(stage, caplog):
    stage.stubborn["x"] = 100
    inner = Supervisor("inner", [stage.spec("x", shutdown=math.inf)], clock=stage.clock)
    task = await stage.up(make(stage, inner.as_child(shutdown=1)))
    task.cancel()
    await stage.clock.advance(1 + KILL_GRACE)
    assert task.cancelled()
    left = [r.message.partition(" would not end")[0] for r in caplog.records if "left behind" in r.message]
    assert left == ["inner/x"]
    stage.stubborn["x"] = 0
    await stage.finish("x")


async def test_more_cancels_give_no_more_time(stage):
    stage.stubborn["a"] = 100
    task = await stage.up(make(stage, stage.spec("a")))
    for _ in range(3):
        task.cancel()
        await stage.clock.settle()
    await stage.clock.advance(KILL_GRACE - 0.1)
    task.cancel()
    await stage.clock.advance(0.1)
    assert task.cancelled()
    stage.stubborn["a"] = 0
    await stage.finish("a")


async def test_a_cancel_while_it_stops_by_itself_is_not_lost(stage):
    stage.cleanup["a"] = 2
    supervisor = make(stage, stage.spec("a"))
    task = await stage.up(supervisor)
    supervisor.stop()
    await stage.clock.settle()
    task.cancel()
    await stage.clock.settle()
    assert task.cancelled()
