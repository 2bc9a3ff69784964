"""Children that come and go while a supervisor runs: one at a time, by the thousand, and in races."""

import asyncio
import contextvars
import gc
import time
from typing import Any

import pytest

from nightcrew.actor.actor import Actor, ActorCell
from nightcrew.actor.child import ChildSpec
from nightcrew.actor.errors import ActorStopped, StartFailed
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.system.clock import SystemClock

TEMPORARY = RestartMode.TEMPORARY


def ids(supervisor):
    return [row.id.partition("/")[2] for row in supervisor.components() if row.parent]


@pytest.fixture
async def crew(stage):
    supervisor = Supervisor("crew", clock=stage.clock, rule=stage.free)
    await stage.up(supervisor)
    return supervisor


async def test_start_child_waits_until_it_is_ready(stage, crew):
    stage.held["a"] = asyncio.Event()
    starting = asyncio.create_task(crew.start_child(stage.spec("a")))
    await stage.clock.settle()
    assert not starting.done()
    stage.release("a")
    await starting
    assert ids(crew) == ["a"]


async def test_a_first_start_that_fails_is_the_callers_and_counts_nowhere(stage):
    crew = Supervisor("crew", clock=stage.clock, rule=RestartRule(intensity=0))
    task = await stage.up(crew)
    stage.start_errors["a"].append(OSError("no"))
    with pytest.raises(StartFailed, match="'a' did not start: OSError: no") as failed:
        await crew.start_child(stage.spec("a"))
    assert isinstance(failed.value.__cause__, OSError)
    assert ids(crew) == []
    await crew.start_child(stage.spec("a"))
    assert not task.done()


async def test_a_start_that_hangs_is_the_callers_error_too(stage, crew):
    stage.never_ready.add("a")
    starting = asyncio.create_task(crew.start_child(stage.spec("a", start_timeout=5)))
    await stage.clock.advance(5)
    with pytest.raises(StartFailed, match="not ready in 5 s"):
        await starting
    assert ids(crew) == []


async def test_a_caller_that_goes_away_leaves_the_child(stage, crew):
    stage.held["a"] = asyncio.Event()
    starting = asyncio.create_task(crew.start_child(stage.spec("a")))
    await stage.clock.settle()
    starting.cancel()
    await stage.clock.settle()
    stage.release("a")
    await stage.clock.settle()
    assert [(row.id, row.state.value) for row in crew.components()[1:]] == [("crew/a", "RUNNING")]


async def test_a_failed_start_of_a_spawned_child_follows_its_mode(stage, crew):
    stage.start_errors["t"].append(OSError("no"))
    stage.start_errors["p"].append(OSError("no"))
    crew.spawn(stage.spec("t", restart=TEMPORARY))
    crew.spawn(stage.spec("p"))
    await stage.clock.settle()
    assert ids(crew) == ["p"]
    assert stage.runs == {"t": 1, "p": 2}


async def test_a_dynamic_child_is_restarted_by_its_mode_and_leaves_no_trace_in_the_end(stage, crew):
    await crew.start_child(stage.spec("a", restart=RestartMode.TRANSIENT))
    await stage.fail("a")
    assert stage.runs["a"] == 2
    assert ids(crew) == ["a"]
    await stage.finish("a")
    assert ids(crew) == []
    assert crew.components()[0].state.value == "RUNNING"


async def test_terminate_child_stops_it_within_its_limit_and_forgets_it(stage, crew):
    stage.cleanup["a"] = 3
    await crew.start_child(stage.spec("a"))
    ending = asyncio.create_task(crew.terminate_child("a"))
    await stage.clock.advance(2.9)
    assert not ending.done()
    await stage.clock.advance(0.1)
    await ending
    assert ids(crew) == []
    with pytest.raises(NotFound, match="component 'crew/a' does not exist"):
        await crew.terminate_child("a")


async def test_terminating_goes_on_when_its_caller_goes_away(stage, crew):
    stage.cleanup["a"] = 3
    await crew.start_child(stage.spec("a"))
    ending = asyncio.create_task(crew.terminate_child("a"))
    await stage.clock.advance(1)
    ending.cancel()
    await stage.clock.advance(2)
    assert ids(crew) == []
    assert stage.log == ["+a", "-a"]


async def test_two_who_terminate_one_child_both_hear_of_its_end(stage, crew):
    stage.cleanup["a"] = 1
    await crew.start_child(stage.spec("a"))
    both = asyncio.gather(crew.terminate_child("a"), crew.terminate_child("a"))
    await stage.clock.advance(1)
    await both
    assert ids(crew) == []


async def test_terminate_child_calls_a_restart_off(stage):
    crew = Supervisor("crew", clock=stage.clock)
    await stage.up(crew)
    await crew.start_child(stage.spec("a"))
    await stage.fail("a")
    await crew.terminate_child("a")
    await stage.clock.advance(60)
    assert stage.runs["a"] == 1
    assert stage.clock.pending == 0


async def test_a_child_that_gave_up_stays_visible_until_it_is_replaced_or_forgotten(stage, crew):
    strict = RestartRule(intensity=0, mode=RestartMode.TRANSIENT)
    for id_ in "ab":
        await crew.start_child(stage.spec(id_, rule=strict))
        await stage.fail(id_)
    assert [row.state.value for row in crew.components()[1:]] == ["GAVE_UP", "GAVE_UP"]
    await crew.start_child(stage.spec("a", rule=strict))
    await crew.terminate_child("b")
    assert [(row.id, row.state.value) for row in crew.components()[1:]] == [("crew/a", "RUNNING")]


async def test_an_id_is_taken_while_its_child_runs_or_will_be_back(stage):
    crew = Supervisor("crew", [stage.spec("fixed")], clock=stage.clock)
    await stage.up(crew)
    crew.spawn(stage.spec("a"))
    for id_ in ("a", "fixed"):
        with pytest.raises(AlreadyExists, match=f"component 'crew/{id_}' already exists"):
            crew.spawn(stage.spec(id_))
    await stage.clock.settle()
    await stage.fail("a")
    with pytest.raises(AlreadyExists):
        await crew.start_child(stage.spec("a"))
    assert len(ids(crew)) == 2


async def test_the_id_of_a_child_that_is_yet_to_start_is_taken(stage):
    stage.held["first"] = asyncio.Event()
    crew = Supervisor("crew", [stage.spec("first"), stage.spec("second")], clock=stage.clock)
    task = stage.run(crew)
    await stage.clock.settle()
    with pytest.raises(AlreadyExists):
        crew.spawn(stage.spec("second"))
    stage.release("first")
    await stage.clock.settle()
    assert task in stage.ready
    assert stage.runs["second"] == 1


async def test_a_fixed_child_can_be_terminated_and_is_back_with_the_next_run(stage):
    stage.held["first"] = asyncio.Event()
    crew = Supervisor("crew", [stage.spec("first"), stage.spec("second")], clock=stage.clock)
    task = stage.run(crew)
    await stage.clock.settle()
    await crew.terminate_child("second")  # before its turn to start has come
    stage.release("first")
    await stage.clock.settle()
    assert ids(crew) == ["first"]
    assert task in stage.ready
    await stage.down(task)
    await stage.up(crew)
    assert ids(crew) == ["first", "second"]


async def test_bad_specs_and_closed_supervisors_are_refused(stage, crew):
    with pytest.raises(InvalidArgument, match=r"child\.shutdown"):
        crew.spawn(stage.spec("a", shutdown=-1))
    await stage.down(stage.ready[0])
    with pytest.raises(ActorStopped, match="'crew' takes no messages: the supervisor is STOPPED"):
        crew.spawn(stage.spec("a"))
    with pytest.raises(ActorStopped):
        await crew.start_child(stage.spec("a"))
    assert stage.runs == {}


async def test_groups_take_no_children_while_they_run(stage):
    group = Supervisor("group", [stage.spec("a")], clock=stage.clock, strategy=Strategy.ONE_FOR_ALL)
    await stage.up(group)
    with pytest.raises(FailedPrecondition, match="'group' is one_for_all: only one_for_one"):
        group.spawn(stage.spec("b"))
    with pytest.raises(FailedPrecondition):
        await group.terminate_child("a")


async def test_who_starts_a_child_while_the_supervisor_stops_hears_of_it(stage, crew):
    stage.held["a"] = asyncio.Event()
    starting = asyncio.create_task(crew.start_child(stage.spec("a")))
    await stage.clock.settle()
    crew.stop()
    await stage.ready[0]
    with pytest.raises(ActorStopped, match="'a' takes no messages: it was stopped while it started"):
        await starting


async def test_dynamic_children_stop_first_and_all_at_once(stage):
    crew = Supervisor("crew", [stage.spec("fixed")], clock=stage.clock)
    task = await stage.up(crew)
    for number in range(50):
        stage.cleanup[f"d{number}"] = 2
        await crew.start_child(stage.spec(f"d{number}"))
    task.cancel()
    await stage.clock.advance(1.9)
    assert not any(line.startswith("-") for line in stage.log)
    await stage.clock.advance(0.1)
    assert task.cancelled()
    assert stage.log[-1] == "-fixed"


async def test_a_childs_context_is_the_supervisors_not_the_callers(stage):
    request = contextvars.ContextVar("request", default="none")
    seen = []

    async def life(ready):
        seen.append(request.get())
        request.set("the child's own")
        ready()

    crew = Supervisor("crew", clock=stage.clock)
    await stage.up(crew)
    request.set("of the caller")
    await crew.start_child(ChildSpec("a", life, restart=TEMPORARY))
    await crew.start_child(ChildSpec("b", life, restart=TEMPORARY))
    assert seen == ["none", "none"]


class Worker(Actor[Any]):
    """A virtual actor: does what it is told, then leaves."""

    def __init__(self, done):
        self.done = done

    async def receive(self, message):
        self.done.append(message)
        await asyncio.sleep(0)
        self.leave()


async def test_a_virtual_actor_comes_back_under_its_id_at_any_turn(stage, crew):
    """The pattern of a directory: tell it, or make it anew if it has left. Nothing told is ever lost."""
    done = []
    cells = {}

    def tell(id_, message):
        try:
            cells[id_].ref.tell(message)
        except (KeyError, ActorStopped):
            cells[id_] = cell = ActorCell(id_, lambda: Worker(done), clock=stage.clock)
            crew.spawn(ChildSpec(id_, cell.run, restart=TEMPORARY))
            cell.prepare().tell(message)

    told = 0
    for turns in range(12):
        for _ in range(20):
            tell("digest", told)
            told += 1
            for _ in range(turns):
                await asyncio.sleep(0)
    await stage.clock.settle()
    assert done == list(range(told))
    assert ids(crew) == []


async def test_an_id_is_free_in_the_very_turn_in_which_its_child_ended(stage, crew):
    end = asyncio.get_running_loop().create_future()
    runs = []

    async def life(ready):
        runs.append(True)
        ready()
        await end

    async def follower():
        await end  # woken after the child, in the same turn of the loop
        assert crew.size == 1
        crew.spawn(stage.spec("a"))

    await crew.start_child(ChildSpec("a", life, restart=TEMPORARY))
    following = asyncio.create_task(follower())
    await stage.clock.settle()
    end.set_result(None)
    await following
    await stage.clock.settle()
    assert (len(runs), stage.runs["a"]) == (1, 1)
    assert ids(crew) == ["a"]


async def test_a_spawned_child_that_fails_is_no_failed_start_of_its_supervisor(stage):
    stage.held["fixed"] = asyncio.Event()
    stage.start_errors["a"].append(OSError("no"))
    crew = Supervisor("crew", [stage.spec("fixed")], clock=stage.clock, rule=stage.free)
    task = stage.run(crew)
    await stage.clock.settle()
    crew.spawn(stage.spec("a"))
    await stage.clock.settle()
    assert stage.runs["a"] == 2
    stage.release("fixed")
    await stage.clock.settle()
    assert task in stage.ready


async def test_ten_thousand_children_come_and_go_cheaply():
    """Real clock: 10,000 actors are made, asked, and leave; then 10,000 are stopped with their supervisor."""
    clock = SystemClock()
    crew = Supervisor("crew", clock=clock)
    up = asyncio.Event()
    task = asyncio.create_task(crew.run(up.set))
    await up.wait()
    done = []
    for leaves in (True, False):
        start = time.perf_counter()
        cells = [ActorCell(f"a{n}", lambda: Worker(done), clock=clock) for n in range(10_000)]
        for cell in cells:
            crew.spawn(ChildSpec(cell.ref.name, cell.run, restart=TEMPORARY))
            if leaves:
                cell.prepare().tell(cell.ref.name)
        assert crew.size == 10_000
        while (crew.size > 0) if leaves else any(row.state != "RUNNING" for row in crew.components()):
            assert time.perf_counter() - start < 30
            await asyncio.sleep(0)
    assert len(done) == 10_000
    assert len(asyncio.all_tasks()) == 10_002
    crew.stop()
    await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    del cells
    gc.collect()
    assert crew.size == 0
