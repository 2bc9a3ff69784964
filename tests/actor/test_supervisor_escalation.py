"""Escalation: a failure that is too much for one floor is the next floor's failure, up to the root."""

import asyncio
from typing import Any

import pytest

from nightcrew.actor.actor import Actor, ActorCell
from nightcrew.actor.child import ChildSpec
from nightcrew.actor.component import Component, ComponentKind, ComponentState
from nightcrew.actor.errors import ActorStopped, StartFailed, SupervisorGaveUp
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode


def rule(intensity):
    return RestartRule(intensity=intensity, period=1000.0, initial_backoff=0.0, max_backoff=0.0)


def three_floors(stage, intensity=1):
    low = Supervisor("low", [stage.spec("x"), stage.spec("y")], clock=stage.clock, rule=rule(intensity))
    middle = Supervisor("middle", [low.as_child(), stage.spec("m")], clock=stage.clock, rule=rule(intensity))
    return Supervisor("top", [middle.as_child(), stage.spec("t")], clock=stage.clock, rule=rule(intensity))


async def test_through_three_floors(stage):
    """Each floor allows one restart, so x may fail 2 × 2 × 2 − 1 times; the eighth ends the root."""
    top = three_floors(stage)
    task = await stage.up(top)
    for number in range(7):
        await stage.fail("x", ValueError(f"fault {number}"))
        assert not task.done(), f"ended at failure {number}"
        assert all(row.state is ComponentState.RUNNING for row in top.components())
    await stage.fail("x", ValueError("the last"))
    with pytest.raises(SupervisorGaveUp) as root:
        await task
    chain = []
    error: BaseException | None = root.value
    while isinstance(error, SupervisorGaveUp):
        chain.append((error.supervisor, error.child))
        error = error.__cause__
    assert chain == [("top", "middle"), ("middle", "low"), ("low", "x")]
    assert str(error) == "the last"
    assert "fault" not in str(error)
    assert "SupervisorGaveUp: supervisor 'middle' gave up on 'low'" in str(root.value)
    assert stage.runs == {"x": 8, "y": 4, "m": 2, "t": 1}
    assert stage.log[-1] == "-t"
    row = top.components()[0]
    assert (row.state, row.last_error) == (ComponentState.GAVE_UP, f"SupervisorGaveUp: {root.value}")


async def test_a_middle_floor_that_gives_up_stops_its_other_children_first(stage):
    top = three_floors(stage, intensity=0)
    task = await stage.up(top)
    stage.log.clear()
    await stage.fail("x")
    assert stage.log == ["-x", "-y", "-m", "-t"]
    with pytest.raises(SupervisorGaveUp):
        await task


async def test_a_nested_supervisor_whose_child_does_not_start_fails_its_own_start(stage):
    stage.start_errors["y"].append(OSError("no"))
    task = stage.run(three_floors(stage))
    with pytest.raises(StartFailed, match="'middle' did not start: StartFailed: 'low' did not start: Sta"):
        await task
    assert stage.log == ["+x", "+y", "-y", "-x"]
    assert task not in stage.ready


async def test_a_nested_supervisor_with_a_rule_of_its_own_gives_up_alone(stage):
    told = []
    low = Supervisor("low", [stage.spec("x")], clock=stage.clock, rule=rule(0))
    child = low.as_child(rule=rule(1), on_give_up=lambda id_, error: told.append((id_, type(error))))
    top = Supervisor("top", [child, stage.spec("t")], clock=stage.clock, rule=rule(0))
    task = await stage.up(top)
    await stage.fail("x")
    await stage.fail("x")
    assert told == [("low", SupervisorGaveUp)]
    assert not task.done()
    assert [(row.id, row.state.value) for row in top.components()] == [
        ("top", "RUNNING"),
        ("top/low", "GAVE_UP"),
        ("top/low/x", "STOPPED"),
        ("top/t", "RUNNING"),
    ]


async def test_the_tree_is_shown_as_it_is(stage):
    start = stage.clock.now()
    low = Supervisor("low", [stage.spec("x"), stage.spec("y", restart=RestartMode.TRANSIENT)], clock=stage.clock,
                     strategy=Strategy.ONE_FOR_ALL, rule=rule(9))  # fmt: skip
    top = Supervisor("top", [stage.spec("a"), low.as_child()], clock=stage.clock, rule=rule(9))
    assert [row.state for row in top.components()] == [ComponentState.STOPPED] * 5
    assert top.components()[0].start_time is None
    await stage.up(top)
    await stage.clock.advance(60)
    await stage.fail("x", ValueError("boom"))
    later = stage.clock.now()
    assert later > start
    worker, boss = ComponentKind.WORKER, ComponentKind.SUPERVISOR
    permanent, transient = RestartMode.PERMANENT, RestartMode.TRANSIENT

    def row(id_, kind, restarts, since, mode, error="", children=0):
        return Component(
            id=id_, parent=id_.rpartition("/")[0], kind=kind, state=ComponentState.RUNNING, restarts=restarts,
            start_time=since, mode=mode, last_error=error, children=children,
        )  # fmt: skip

    assert top.components() == [
        row("top", boss, 0, start, RestartMode.TEMPORARY, children=2),
        row("top/a", worker, 0, start, permanent),
        row("top/low", boss, 0, start, permanent, children=2),
        row("top/low/x", worker, 1, later, permanent, "ValueError: boom"),
        row("top/low/y", worker, 1, later, transient),
    ]


class Fragile(Actor[Any]):
    async def receive(self, message):
        if message == "crash":
            raise ValueError("boom")
        return message


async def test_a_supervised_actor_answers_its_senders_when_it_crashes_and_comes_back(stage):
    cell = ActorCell("fragile", Fragile, clock=stage.clock)
    supervisor = Supervisor("root", [ChildSpec("fragile", cell.run)], clock=stage.clock)
    await stage.up(supervisor)
    assert await cell.ref.ask("hello") == "hello"
    asks = [cell.ref.ask("crash"), cell.ref.ask("queued")]
    for ask in asks:
        with pytest.raises(
            ActorStopped, match=r"'fragile' takes no messages: it crashed \(ValueError: boom\)"
        ):
            await ask
    await stage.clock.settle()
    with pytest.raises(ActorStopped):
        cell.ref.tell("during the back-off")
    await stage.clock.advance(1)
    assert await cell.ref.ask("back") == "back"


class Slow(Actor[Any]):
    async def started(self):
        await asyncio.get_running_loop().create_future()


async def test_an_actor_that_is_stopped_before_its_first_step_still_answers(stage):
    """Its mailbox was opened by `prepare`; a stop in the same turn must not leave an ask without an answer."""
    supervisor = Supervisor("root", clock=stage.clock)
    await stage.up(supervisor)
    cell = ActorCell("slow", Slow, clock=stage.clock)
    ask = cell.prepare().ask("hello")
    supervisor.spawn(ChildSpec("slow", cell.run, restart=RestartMode.TEMPORARY))
    await supervisor.terminate_child("slow")
    with pytest.raises(ActorStopped, match="it was stopped"):
        await asyncio.wait_for(ask, 5)
