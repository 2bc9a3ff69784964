"""Restarts by a real supervisor: strategies, modes and positions, intensity, back-off, failures in between."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.component import ComponentState
from nightcrew.actor.errors import SupervisorGaveUp
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.restart import RestartRule, should_restart
from nightcrew.domain.spec.policy import RestartMode

P, T, X = RestartMode.PERMANENT, RestartMode.TRANSIENT, RestartMode.TEMPORARY
CASES = json.loads(
    (Path(__file__).parents[1] / "data/conformance/supervision.json").read_text(encoding="utf-8")
)


def states(supervisor):
    return {row.id.partition("/")[2]: row.state.value for row in supervisor.components() if row.parent}


def expected_log(strategy, modes, position, restarts):
    """What OTP's documents say happens after child `position` of a, b, c has ended."""
    log = [f"-{'abc'[position]}"]
    if not restarts:
        return log
    concerned = {
        Strategy.ONE_FOR_ONE: [position],
        Strategy.ONE_FOR_ALL: [0, 1, 2],
        Strategy.REST_FOR_ONE: list(range(position, 3)),
    }[strategy]
    log += [f"-{'abc'[index]}" for index in reversed(concerned) if index != position]
    log += [f"+{'abc'[index]}" for index in concerned if index == position or modes[index] is not X]
    return log


@pytest.mark.parametrize("abnormal", [True, False], ids=["fails", "finishes"])
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("strategy", Strategy)
async def test_every_strategy_mode_and_position(stage, strategy, position, abnormal):
    for modes in itertools.product((P, T, X), repeat=3):
        stage.log.clear()
        children = [stage.spec(id_, restart=mode) for id_, mode in zip("abc", modes, strict=True)]
        supervisor = Supervisor("root", children, clock=stage.clock, strategy=strategy, rule=stage.free)
        task = await stage.up(supervisor)
        assert stage.log == ["+a", "+b", "+c"]
        stage.log.clear()
        if abnormal:
            await stage.fail("abc"[position])
        else:
            await stage.finish("abc"[position])
        restarts = should_restart(modes[position], abnormal)
        assert stage.log == expected_log(strategy, modes, position, restarts), modes
        shown = states(supervisor)
        for index, mode in enumerate(modes):
            id_ = "abc"[index]
            alive = stage.log.count(f"+{id_}") >= stage.log.count(f"-{id_}")
            if alive:
                assert shown[id_] == "RUNNING"
            elif mode is X:
                assert id_ not in shown  # temporary children leave no trace
            else:
                assert shown[id_] == "STOPPED"
        assert await stage.down(task) is None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("strategy", Strategy)
async def test_intensity_as_the_conformance_cases_say(stage, strategy, case):
    clock, failures = stage.clock, case["failures"]
    restarts_fail = "restart that fails" in case["name"]
    failed_at = []

    async def life(ready):
        run = len(failed_at)
        if run == 0 or not restarts_fail:
            ready()
        if run == len(failures):
            await asyncio.get_running_loop().create_future()
        await clock.sleep(failures[run] - clock.monotonic())
        failed_at.append(clock.monotonic())
        raise ValueError(f"failure {run}")

    rule = RestartRule(
        intensity=case["intensity"], period=float(case["period"]), initial_backoff=0.0, max_backoff=0.0
    )
    supervisor = Supervisor("root", [ChildSpec("a", life)], clock=clock, strategy=strategy, rule=rule)
    task = stage.run(supervisor)
    await clock.settle()
    for at in failures:
        await clock.advance(max(0.0, at - clock.monotonic()))
    await clock.settle()
    if case["gives_up_at"] is None:
        assert not task.done()
        assert failed_at == pytest.approx(failures)
        assert restarts_of(supervisor, "a") == len(failures)
    else:
        assert failed_at == pytest.approx(failures[: case["gives_up_at"] + 1])
        with pytest.raises(SupervisorGaveUp, match="supervisor 'root' gave up on 'a'") as gave_up:
            await task
        assert str(gave_up.value.__cause__) == f"failure {case['gives_up_at']}"


def restarts_of(supervisor, id_):
    return next(row.restarts for row in supervisor.components() if row.id == f"root/{id_}")


@pytest.mark.parametrize("strategy", Strategy)
async def test_the_back_off_doubles_up_to_its_cap(stage, strategy):
    rule = RestartRule(intensity=10, period=1000.0, initial_backoff=1.0, max_backoff=5.0)
    supervisor = Supervisor("root", [stage.spec("a")], clock=stage.clock, strategy=strategy, rule=rule)
    task = await stage.up(supervisor)
    for wait in (1, 2, 4, 5, 5):
        before = stage.runs["a"]
        await stage.fail("a")
        assert states(supervisor) == {"a": "BACKING_OFF"}
        await stage.clock.advance(wait - 0.01)
        assert stage.runs["a"] == before
        await stage.clock.advance(0.01)
        assert stage.runs["a"] == before + 1
        assert states(supervisor) == {"a": "RUNNING"}
    assert restarts_of(supervisor, "a") == 5
    assert not task.done()


async def test_siblings_fail_together_but_count_once(stage):
    """What falls because a sibling fell is no failure of its own (one_for_all)."""
    rule = RestartRule(intensity=1, period=60.0, initial_backoff=1.0, max_backoff=1.0)
    supervisor = Supervisor(
        "root", [stage.spec(x) for x in "abc"], clock=stage.clock, strategy=Strategy.ONE_FOR_ALL, rule=rule
    )
    task = await stage.up(supervisor)
    stage._fates["a"].set_exception(ValueError("first"))
    stage._fates["c"].set_exception(ValueError("because of the first"))
    await stage.clock.advance(1)
    assert states(supervisor) == dict.fromkeys("abc", "RUNNING")
    assert stage.runs == dict.fromkeys("abc", 2)
    assert not task.done()


async def test_failures_of_different_children_add_up_in_one_window(stage):
    rule = RestartRule(intensity=2, period=60.0, initial_backoff=0.0, max_backoff=0.0)
    supervisor = Supervisor("root", [stage.spec(x) for x in "abc"], clock=stage.clock, rule=rule)
    task = await stage.up(supervisor)
    await stage.fail("a")
    await stage.fail("b")
    assert not task.done()
    await stage.fail("c")
    with pytest.raises(SupervisorGaveUp, match=r"gave up on 'c': restart 3 within 60 s, 2 are allowed"):
        await task


async def test_a_failure_to_the_left_during_the_back_off_widens_the_restart(stage):
    rule = RestartRule(intensity=9, period=100.0, initial_backoff=2.0, max_backoff=8.0)
    supervisor = Supervisor(
        "root", [stage.spec(x) for x in "abcd"], clock=stage.clock, strategy=Strategy.REST_FOR_ONE, rule=rule
    )
    await stage.up(supervisor)
    stage.log.clear()
    await stage.fail("c")
    assert states(supervisor) == {"a": "RUNNING", "b": "RUNNING", "c": "BACKING_OFF", "d": "STOPPED"}
    await stage.clock.advance(1)
    await stage.fail("b")
    assert stage.log == ["-c", "-d", "-b"]
    await stage.clock.advance(3.9)
    assert stage.log == ["-c", "-d", "-b"]  # 4 s from the second failure
    await stage.clock.advance(0.1)
    assert stage.log == ["-c", "-d", "-b", "+b", "+c", "+d"]
    assert states(supervisor) == dict.fromkeys("abcd", "RUNNING")


async def test_a_failure_in_the_midst_of_a_groups_start_changes_the_plan_at_once(stage):
    supervisor = Supervisor(
        "root",
        [stage.spec(x) for x in "abc"],
        clock=stage.clock,
        strategy=Strategy.ONE_FOR_ALL,
        rule=stage.free,
    )
    await stage.up(supervisor)
    stage.held["b"] = asyncio.Event()
    stage.log.clear()
    await stage.fail("c")
    assert stage.log == ["-c", "-b", "-a", "+a", "+b"]
    assert states(supervisor) == {"a": "RUNNING", "b": "STARTING", "c": "BACKING_OFF"}
    stage.log.clear()
    await stage.fail("a")  # while b starts: b is stopped, all begin again
    assert stage.log == ["-a", "-b", "+a", "+b"]
    stage.release("b")
    await stage.clock.settle()
    assert stage.log == ["-a", "-b", "+a", "+b", "+c"]


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_restart_that_fails_to_start_is_tried_again_after_a_longer_wait(stage, strategy):
    rule = RestartRule(intensity=5, period=100.0, initial_backoff=1.0, max_backoff=30.0)
    supervisor = Supervisor(
        "root", [stage.spec("a"), stage.spec("b")], clock=stage.clock, strategy=strategy, rule=rule
    )
    task = await stage.up(supervisor)
    stage.start_errors["a"] += [OSError("port in use"), OSError("port in use")]
    await stage.fail("a")
    await stage.clock.advance(1)
    assert states(supervisor)["a"] == "BACKING_OFF"
    assert {row.id: row.last_error for row in supervisor.components()}["root/a"] == "OSError: port in use"
    await stage.clock.advance(2)
    assert states(supervisor)["a"] == "BACKING_OFF"
    await stage.clock.advance(4)
    assert states(supervisor) == {"a": "RUNNING", "b": "RUNNING"}
    assert stage.runs["a"] == 4
    assert not task.done()


async def test_one_slow_restart_holds_no_sibling_up(stage):
    supervisor = Supervisor("root", [stage.spec("a"), stage.spec("b")], clock=stage.clock, rule=stage.free)
    await stage.up(supervisor)
    stage.held["a"] = asyncio.Event()
    await stage.fail("a")
    await stage.fail("b")
    assert states(supervisor) == {"a": "STARTING", "b": "RUNNING"}
    stage.release("a")


async def test_a_rule_of_its_own_gives_up_one_child_and_nothing_escalates(stage):
    told = []
    rule = RestartRule(intensity=2, period=60.0, initial_backoff=0.0, max_backoff=0.0)
    spec = stage.spec("a", rule=rule, on_give_up=lambda id_, error: told.append((id_, str(error))))
    strict = RestartRule(intensity=0, period=60.0)
    supervisor = Supervisor("root", [spec, stage.spec("b")], clock=stage.clock, rule=strict)
    task = await stage.up(supervisor)
    for number in range(3):
        assert states(supervisor)["a"] == "RUNNING"
        await stage.fail("a", ValueError(f"fault {number}"))
    assert told == [("a", "fault 2")]
    assert states(supervisor) == {"a": ComponentState.GAVE_UP, "b": "RUNNING"}
    assert not task.done()
    row = supervisor.components()[1]
    assert (row.restarts, row.last_error) == (2, "ValueError: fault 2")
    assert await stage.down(task) is None
    assert states(supervisor) == {"a": "GAVE_UP", "b": "STOPPED"}


async def test_a_hook_that_fails_harms_nobody(stage, caplog):
    def hook(id_, error):
        raise KeyError("hook")

    spec = stage.spec("a", rule=RestartRule(intensity=0), on_give_up=hook)
    supervisor = Supervisor("root", [spec, stage.spec("b")], clock=stage.clock)
    task = await stage.up(supervisor)
    await stage.fail("a")
    assert states(supervisor) == {"a": "GAVE_UP", "b": "RUNNING"}
    assert "root/a: on_give_up failed" in caplog.text
    assert not task.done()


async def test_a_child_that_cancels_itself_has_failed(stage):
    async def life(ready):
        ready()
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    supervisor = Supervisor(
        "root", [ChildSpec("a", life, restart=T)], clock=stage.clock, rule=RestartRule(intensity=0)
    )
    with pytest.raises(SupervisorGaveUp, match="was cancelled, but not by its supervisor"):
        await stage.run(supervisor)


@pytest.mark.parametrize("abnormal", [True, False])
async def test_a_significant_childs_end_ends_the_supervisor_normally(stage, abnormal):
    supervisor = Supervisor(
        "root", [stage.spec("a"), stage.spec("b", restart=X, significant=True)], clock=stage.clock
    )
    task = await stage.up(supervisor)
    await (stage.fail("b") if abnormal else stage.finish("b"))
    assert await task is None
    assert stage.log == ["+a", "+b", "-b", "-a"]


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_child_that_fails_while_a_later_one_starts_is_restarted(stage, strategy):
    """It was ready once: that is no failed start of the supervisor. A TEMPORARY one still has its first start."""
    stage.held["b"] = asyncio.Event()
    children = [stage.spec("a"), stage.spec("b"), stage.spec("c", restart=X)]
    supervisor = Supervisor("root", children, clock=stage.clock, strategy=strategy, rule=stage.free)
    task = stage.run(supervisor)
    await stage.clock.settle()
    await stage.fail("a")
    assert not task.done()
    assert task not in stage.ready
    stage.release("b")
    await stage.clock.settle()
    assert task in stage.ready
    assert states(supervisor) == dict.fromkeys("abc", "RUNNING")
    assert stage.runs["c"] == 1


async def test_the_longest_of_two_back_offs_counts(stage):
    """Three fall at once (4 s to wait); one more falls after the window has passed (1 s to wait)."""
    rule = RestartRule(intensity=5, period=1.0, initial_backoff=1.0, max_backoff=8.0)
    supervisor = Supervisor(
        "root", [stage.spec(x) for x in "abcd"], clock=stage.clock, strategy=Strategy.REST_FOR_ONE, rule=rule
    )
    await stage.up(supervisor)
    for id_ in "dcb":
        await stage.fail(id_)
    await stage.clock.advance(1.5)
    await stage.fail("a")
    await stage.clock.advance(2.4)
    assert stage.runs == dict.fromkeys("abcd", 1)
    await stage.clock.advance(0.1)
    assert stage.runs == dict.fromkeys("abcd", 2)


async def test_a_supervisor_that_stops_calls_its_groups_restart_off(stage):
    supervisor = Supervisor("root", [stage.spec("a")], clock=stage.clock, strategy=Strategy.ONE_FOR_ALL)
    task = await stage.up(supervisor)
    await stage.fail("a")
    assert stage.clock.pending == 1
    supervisor.stop()
    await task
    assert stage.clock.pending == 0
    assert stage.runs["a"] == 1
