"""Agents' actors: made when there is work, gone when idle, restarted after a crash; and no wake-up is ever lost."""

import asyncio
import random

import pytest

from nightcrew.actor.supervisor import Supervisor
from nightcrew.agent import agent
from nightcrew.crew.directory import Directory
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


def numbered(count):
    """So many agents that count their runs and take as long as they are told."""
    runs = {}

    def one(number):
        @agent(id=f"a{number}", overlap="buffer_all")
        async def work(turns: int = 0):
            for _ in range(turns):
                await asyncio.sleep(0)
            runs[number] = runs.get(number, 0) + 1

        work.__name__ = f"work{number}"
        return work

    return [one(number) for number in range(count)], runs


def few(box, lingering):
    """Only so many idle actors are kept."""
    box.engine.directory._lingering = lingering


async def backlog(box):
    """Work of a0 that nobody was told of."""
    box.engine.commits.claiming = False
    run = await box.trigger("a0")
    box.engine.commits.claiming = True
    return run


async def test_an_idle_agent_has_no_actor_until_it_has_work(tmp_path):
    agents, _ = numbered(3)
    async with Box(*agents, folder=tmp_path) as box:
        assert box.engine.directory.size == 0
        await box.run("a0")
        assert box.engine.directory.size == 1
        # Commands of an agent without work need none.
        for event in (AgentEvent.PAUSE, AgentEvent.RESUME, AgentEvent.STOP, AgentEvent.START):
            await box.services.agents.command(event, "a1", reason="", request=BY_TEST)
        await box.settle()
        assert box.engine.directory.size == 1


async def test_idle_actors_linger_up_to_a_bound_and_the_longest_idle_leaves_first(tmp_path):
    agents, runs = numbered(5)
    async with Box(*agents, folder=tmp_path) as box:
        few(box, 2)
        for number in range(5):
            await box.run(f"a{number}")
        assert set(box.engine.directory._actors) == {"a3", "a4"}
        await box.run("a3")
        await box.run("a0")
        assert set(box.engine.directory._actors) == {"a3", "a0"}
        await box.run("a4")
        assert runs == {0: 2, 1: 1, 2: 1, 3: 2, 4: 2}
        tree = {one.id for one in box.engine.components()}
        assert {one for one in tree if one.startswith("nightcrew/agents/")} == {
            "nightcrew/agents/a0",
            "nightcrew/agents/a4",
        }


async def test_work_that_comes_in_the_turn_in_which_an_actor_is_told_to_leave_is_done(tmp_path):
    agents, runs = numbered(2)
    async with Box(*agents, folder=tmp_path) as box:
        await box.run("a0")
        directory = box.engine.directory
        await backlog(box)
        few(box, 0)
        directory.rests(directory._actors["a0"])  # LEAVE lies in its mailbox, and it has not looked yet
        directory.work("a0")
        await box.settle()
        assert runs == {0: 2}
        assert directory.size == 0


@pytest.mark.parametrize("seed", range(12))
async def test_no_work_is_lost_in_any_interleaving(tmp_path, seed):
    """Triggers, pauses, updates and cancels at random over agents whose actors come and go all the time."""
    dice = random.Random(seed)
    agents, runs = numbered(4)
    async with Box(*agents, folder=tmp_path) as box:
        few(box, dice.randrange(3))
        service, executions = box.services.agents, box.services.executions
        triggered = []

        async def one_caller():
            for _ in range(40):
                name = f"a{dice.randrange(4)}"
                match dice.randrange(8):
                    case 0:
                        await service.command(AgentEvent.PAUSE, name, reason="", request=BY_TEST)
                        await service.command(AgentEvent.RESUME, name, reason="", request=BY_TEST)
                    case 1:
                        places = dice.randrange(4)
                        await service.update(
                            name,
                            {"spec": {"execution": {"max_concurrency": places}}},
                            paths=["spec.execution.max_concurrency"],
                            etag="",
                            request=BY_TEST,
                        )
                    case 2 if triggered:
                        await executions.cancel(dice.choice(triggered), reason="", request=BY_TEST)
                    case _:
                        run = await box_trigger(name, dice.randrange(5))
                        triggered.append(run.id)
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)

        async def box_trigger(name, turns):
            wish = Triggering(agent_id=name, request=BY_TEST, input={"turns": turns})
            return await executions.trigger(wish)

        await asyncio.gather(*(one_caller() for _ in range(5)))
        await box.settle()  # no time passes: the rescuer's sweep, the second net, has no part in it
        rows = await box.executions()
        assert {one.state for one in rows} <= {ExecutionState.SUCCEEDED, ExecutionState.CANCELLED}
        done = sum(one.state is ExecutionState.SUCCEEDED for one in rows)
        assert len(rows) == len(triggered)
        assert done <= sum(runs.values())
        assert box.engine.executor.running == 0
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_backlog_is_worked_off_without_a_wake_up_for_each(tmp_path):
    agents, runs = numbered(1)
    async with Box(*agents, folder=tmp_path) as box:
        await asyncio.gather(*(box.trigger("a0") for _ in range(200)))
        assert runs == {0: 200}


async def spoil(box, agent_id):
    """An execution that can't be read any more: whoever claims it fails, as a bug in our own code would."""
    await box.engine.store.write(
        lambda tx: tx._execute(
            "UPDATE executions SET trigger_kind = 'KIND_UNHEARD_OF' WHERE agent_id = ? AND end_time IS NULL",
            (agent_id,),
        )
    )


async def mend(box):
    await box.engine.store.write(
        lambda tx: tx._execute(
            "UPDATE executions SET trigger_kind = 'KIND_MANUAL' WHERE trigger_kind = 'KIND_UNHEARD_OF'"
        )
    )


async def spoilt(box):
    """The backlog of a0 is spoilt, and its actor is told to look at it."""
    await backlog(box)
    await spoil(box, "a0")
    box.engine.directory.work("a0")
    await box.settle()


async def test_an_actor_that_crashes_is_restarted_and_looks_at_everything(tmp_path):
    agents, runs = numbered(2)
    async with Box(*agents, folder=tmp_path) as box:
        await spoilt(box)
        await mend(box)
        assert runs == {}
        await box.advance(1)  # its back-off
        assert runs == {0: 1}
        assert box.engine.directory.restarts("a0") == 1
        _, status = await box.services.status.of("a0")
        assert status.restarts == 1
        assert (await box.agent("a0")).state is AgentState.ACTIVE


async def test_past_its_intensity_only_its_agent_goes_to_error_and_nothing_escalates(tmp_path):
    agents, runs = numbered(2)
    async with Box(*agents, folder=tmp_path) as box:
        await spoilt(box)
        await box.advance(59)
        found = await box.agent("a0")
        assert (found.state, found.state_reason) == (AgentState.ERROR, "restart_intensity")
        tree = box.engine.components()
        assert all(one.restarts == 0 for one in tree if not one.id.startswith("nightcrew/agents/"))
        await box.run("a1")
        assert runs == {1: 1}
        # People look at it, mend it and start it: it gets a new actor.
        await mend(box)
        await box.services.agents.command(AgentEvent.START, "a0", reason="", request=BY_TEST)
        await box.settle()
        assert runs == {0: 1, 1: 1}


async def test_a_store_that_fails_is_no_fault_of_the_agents(tmp_path, failing):
    agents, runs = numbered(1)
    async with Box(*agents, folder=tmp_path) as box:
        run = await backlog(box)
        async with failing(box.engine.store):
            box.engine.directory.work("a0")
            await box.advance(200)
            assert runs == {}
        await box.advance(1)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED
        assert box.engine.directory.restarts("a0") == 0


async def test_a_cancel_is_delivered_once_the_store_heals(tmp_path, failing):
    @agent
    async def work():
        await box.clock.sleep(100_000)

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        await box.engine.store.write(lambda tx: tx.executions.mark_cancel(run.id, reason="enough"))
        async with failing(box.engine.store):
            box.engine.directory.cancel("work")
            await box.advance(20)
        done = await box.ended(run.id, limit=5)
        assert (done.state, done.cancel_reason) == (ExecutionState.CANCELLED, "enough")


async def test_actors_of_a_life_before_are_forgotten(tmp_path):
    """When the agents' part of the tree is started again, its directory begins anew with it."""
    agents, runs = numbered(1)
    async with Box(*agents, folder=tmp_path) as box:
        supervisor = Supervisor("agents", clock=box.clock)
        directory = Directory(
            supervisor=supervisor, commits=box.engine.commits, executor=box.engine.executor, clock=box.clock
        )
        box.engine.commits.tell_through(directory)
        for life in (1, 2):
            ready = asyncio.Event()
            task = asyncio.create_task(directory.as_child().start(ready.set))
            await ready.wait()
            await backlog(box)
            directory.work("a0")
            await box.settle()
            assert runs == {0: life}
            assert directory.size == 1
            supervisor.stop()
            await task
            assert not box.engine.commits.claiming  # nobody is there to start what would be claimed
        box.engine.commits.tell_through(box.engine.directory)


async def test_work_that_is_told_while_nobody_is_there_waits_for_the_sweep(tmp_path):
    agents, runs = numbered(1)
    async with Box(*agents, folder=tmp_path, patience=PATIENCE) as box:
        await backlog(box)
        assert runs == {}
        await box.advance(30)
        assert runs == {0: 1}


async def test_after_a_close_nothing_is_made(tmp_path):
    agents, runs = numbered(1)
    async with Box(*agents, folder=tmp_path) as box:
        box.engine.directory.close()
        run = await box.trigger("a0")
        await box.advance(60)
        assert runs == {}
        assert box.engine.directory.size == 0
        assert (await box.execution(run.id)).state is ExecutionState.QUEUED
