"""Rescuer, waker and pruner: the nets under everything, in virtual time."""

import asyncio
import uuid
from datetime import timedelta

from nightcrew.agent import Retry, agent
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.ports.requests import Remembered
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

BY_TEST = Request(method="test")


def later(box, seconds):
    return ManualClock(box.clock.now() + timedelta(seconds=seconds))


async def test_a_start_hands_back_what_ran_finishes_stops_and_tells_of_work(tmp_path):
    begun = []

    def one(name, **options):
        @agent(id=name, **options)
        async def run():
            begun.append(name)
            if begun.count(name) == 1:
                await box.clock.sleep(3600)

        run.__name__ = name.replace("-", "_")
        return run

    async def command(event, name):
        await box.services.agents.command(event, name, reason="", request=BY_TEST)

    agents = [one(name) for name in ("goes-on", "marked", "stopping", "waits", "deleted")]
    ids = {}
    async with Box(*agents, folder=tmp_path) as box:
        for name in ("goes-on", "marked", "stopping", "deleted"):
            ids[name] = (await box.trigger(name)).id
        box.engine.commits.claiming = False
        ids["waits"] = (await box.trigger("waits")).id
        # The runtime dies between the commit of a mark and the ask that follows it.
        await box.engine.store.write(lambda tx: tx.executions.mark_cancel(ids["marked"], reason="enough"))
        box.engine.commits._teller = None
        await command(AgentEvent.STOP, "stopping")
        await box.services.agents.delete("deleted", etag="", force=True, request=BY_TEST)
    begun.append("waits")
    async with Box(*agents, folder=tmp_path) as box:
        rows = {one.agent_id: one for one in await box.executions()}
        assert rows["goes-on"].state is ExecutionState.SUCCEEDED
        assert rows["goes-on"].interruptions == 1
        assert (rows["marked"].state, rows["marked"].cancel_reason) == (ExecutionState.CANCELLED, "enough")
        assert rows["stopping"].state is ExecutionState.CANCELLED
        assert (await box.agent("stopping")).state is AgentState.STOPPED
        assert rows["waits"].state is ExecutionState.SUCCEEDED
        # It is to go, it goes; and by hand, so that its file does not bring it back.
        assert "deleted" not in rows
        assert await box.engine.store.reads.agent("deleted") is None


async def test_a_run_that_ended_without_an_outcome_is_found_by_the_second_sweep(tmp_path):
    gate = asyncio.Event()

    @agent
    async def work():
        await gate.wait()
        return "done"

    async with Box(work, folder=tmp_path, patience=PATIENCE) as box:
        run = await box.trigger("work")
        # As a bug would have it: the task is gone, the row is RUNNING.
        for task in asyncio.all_tasks():
            if task.get_name() == f"run {run.id}":
                task.cancel()
        await box.settle()
        assert not box.engine.executor.owns(run.id, 1)
        await box.advance(30)
        row = await box.execution(run.id)  # it may have been on its way
        assert (row.state, row.lease) == (ExecutionState.RUNNING, 1)
        gate.set()
        await box.advance(30)
        row = await box.execution(run.id)
        assert (row.state, row.interruptions, row.lease) == (ExecutionState.SUCCEEDED, 1, 2)
        events = await box.engine.store.reads.events_after(0, limit=100)
        assert any('"type":"run_lost"' in one.data for one in events)


async def test_sweeps_leave_alone_what_runs(tmp_path):
    @agent
    async def work():
        await box.clock.sleep(600)
        return "done"

    async with Box(work, folder=tmp_path, patience=PATIENCE) as box:
        done = await box.run("work")
        assert (done.state, done.lease, done.interruptions) == (ExecutionState.SUCCEEDED, 1, 0)


async def test_a_sweep_that_fails_is_tried_again(tmp_path, failing):
    @agent
    async def work():
        return "done"

    async with Box(work, folder=tmp_path, patience=PATIENCE) as box:
        box.engine.commits.claiming = False
        run = await box.trigger("work")
        box.engine.commits.claiming = True
        async with failing(box.engine.store):
            await box.advance(40)
        await box.advance(30)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_retry_that_came_due_while_it_was_down_is_woken_at_the_start(tmp_path):
    attempts = []

    @agent(retry=Retry(max_attempts=3, initial_backoff=60, jitter=False))
    async def work():
        attempts.append(box.clock.now())
        if len(attempts) == 1:
            raise OSError

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        await box.advance(30)
    async with Box(work, folder=tmp_path, clock=later(box, 10)) as box:
        assert (await box.execution(run.id)).state is ExecutionState.RETRYING
        await box.advance(20)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED
        assert attempts[1] - attempts[0] == timedelta(seconds=60)


async def test_many_timers_are_woken_in_portions_and_each_in_its_time(tmp_path):
    @agent(max_concurrency=0, max_backlog=0, retry=Retry(max_attempts=2, initial_backoff=60, jitter=False))
    async def work(ctx):
        if ctx.attempt == 1:
            raise OSError

    async with Box(work, folder=tmp_path) as box:
        wishes = [Triggering(agent_id="work", request=BY_TEST) for _ in range(600)]
        await box.services.executions.trigger_many(wishes)
        await box.settle()
        await box.advance(59.9)
        figures = await box.engine.store.reads.store_figures()
        assert figures.running == 600  # they keep their places
        await box.advance(0.1)
        states = {one.state for one in await box.executions()}
        assert states == {ExecutionState.SUCCEEDED}


async def test_the_waker_goes_on_after_the_store_has_failed(tmp_path, failing):
    @agent(retry=Retry(max_attempts=2, initial_backoff=5, jitter=False))
    async def work(ctx):
        if ctx.attempt == 1:
            raise OSError

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        async with failing(box.engine.store):
            await box.advance(20)
        await box.advance(1)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED


async def test_answers_by_request_id_are_forgotten_after_a_day(tmp_path):
    async with Box(folder=tmp_path, patience=PATIENCE) as box:
        names = [str(uuid.uuid4()) for _ in range(3)]

        def remember(tx):
            for name in names:
                tx.requests.remember(
                    Remembered(
                        caller="", method="m", request_id=name, digest="", answer="", time=box.clock.now()
                    )
                )

        def known(tx):
            return sum(
                tx.requests.find("", "m", name, since=box.clock.now() - timedelta(days=9)) is not None
                for name in names
            )

        await box.engine.store.write(remember)
        await box.advance(hours=23.9)
        assert await box.engine.store.write(known) == 3
        await box.advance(hours=0.3)
        assert await box.engine.store.write(known) == 0
