"""Runs that are cancelled, killed, drained or lost, and what is kept of them, over the real store."""

import asyncio
import json
import sqlite3

import pytest

from nightcrew.agent import Context, Retry, agent, every
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


async def cancel(box, execution_id):
    await box.services.executions.cancel(execution_id, reason="enough", request=BY_TEST)
    await box.settle()


async def events_of(box, execution_id):
    found = await box.engine.store.reads.events_after(0, limit=1000)
    return [one.type.rsplit(".", 1)[1] for one in found if one.execution_id == execution_id]


async def test_a_run_is_raised_into_and_ends_cancelled(tmp_path):
    seen = []

    @agent
    async def work():
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await box.clock.sleep(3)  # it makes good
            seen.append("made good")
            raise

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        await cancel(box, run.id)
        row = await box.execution(run.id)
        assert (row.state, row.cancel_requested) == (ExecutionState.RUNNING, True)
        assert seen == ["cancelled"]
        done = await box.ended(run.id)
        assert (done.state, done.cancel_reason, done.error) == (ExecutionState.CANCELLED, "enough", None)
        assert seen == ["cancelled", "made good"]
        assert box.clock.monotonic() == 3


async def test_one_that_returns_in_its_grace_has_succeeded(tmp_path):
    @agent
    async def work():
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            return "sent what it had"

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        await cancel(box, run.id)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED


async def test_one_that_outlives_its_grace_is_killed(tmp_path):
    @agent(cancel_grace=7)
    async def stubborn():
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            await box.clock.sleep(3600)

    async with Box(stubborn, folder=tmp_path) as box:
        run = await box.trigger("stubborn")
        await cancel(box, run.id)
        await box.advance(6.9)
        assert (await box.execution(run.id)).state is ExecutionState.RUNNING
        await box.advance(0.1)
        assert (await box.execution(run.id)).state is ExecutionState.CANCELLED
        assert (await box.agent("stubborn")).state is AgentState.ACTIVE


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_one_that_holds_on_loses_its_lease_and_takes_its_agent_to_error(tmp_path, how):
    release = asyncio.Event()

    @agent(cancel_grace=1, timeout=5, retry=Retry(max_attempts=3))
    async def holds_on():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async with Box(holds_on, folder=tmp_path) as box:
        run = await box.trigger("holds-on")
        if how == "cancel":
            await cancel(box, run.id)
        done = await box.ended(run.id, limit=60)
        assert done.state is (ExecutionState.CANCELLED if how == "cancel" else ExecutionState.TIMED_OUT)
        found = await box.agent("holds-on")
        assert (found.state, found.state_reason) == (AgentState.ERROR, "unkillable")
        release.set()
        await box.settle()
        assert (await box.execution(run.id)) == done  # its late answer is nobody's


async def test_terminate_other_kills_at_once(tmp_path):
    times = []

    @agent(triggers=[every(seconds=60, overlap="terminate_other")], cancel_grace=50)
    async def stubborn():
        times.append(box.clock.monotonic())
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            await box.clock.sleep(30)  # would fit into its grace

    async with Box(stubborn, folder=tmp_path) as box:
        await box.advance(minutes=2)
        first, second = await box.executions("stubborn")
        assert (first.state, first.cancel_reason) == (
            ExecutionState.CANCELLED,
            "terminated by its trigger's next fire",
        )
        assert second.state is ExecutionState.RUNNING
        assert times == [60, 120]


async def test_cancel_other_gives_the_grace(tmp_path):
    times = []

    @agent(triggers=[every(seconds=60, overlap="cancel_other")], cancel_grace=50)
    async def tidy():
        times.append(box.clock.monotonic())
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            await box.clock.sleep(30)
            raise

    async with Box(tidy, folder=tmp_path) as box:
        await box.advance(minutes=2.5)
        first, second = await box.executions("tidy")
        assert (first.state, second.state) == (ExecutionState.CANCELLED, ExecutionState.RUNNING)
        assert times == [60, 150]


async def test_memory_is_kept_with_success_only(tmp_path):
    @agent(retry=Retry(max_attempts=1))
    async def counts(ctx: Context, fail: bool = False):
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        if fail:
            raise OSError
        return ctx.state["n"]

    async with Box(counts, folder=tmp_path) as box:
        results = [(await box.run("counts", {"fail": fail})).result for fail in (False, True, True, False)]
        assert results == ["1", None, None, "2"]


async def test_memory_is_refused_where_runs_would_overwrite_each_other(tmp_path):
    @agent(triggers=[every(seconds=60, overlap="allow")])
    async def counts(ctx: Context):
        ctx.state["n"] = 1

    async with Box(counts, folder=tmp_path) as box:
        done = await box.run("counts")
        assert done.state is ExecutionState.FAILED
        assert "max_concurrency 1" in done.error.message


async def test_what_is_said_is_kept_with_the_outcome_at_the_latest(tmp_path):
    @agent
    async def talks(ctx: Context):
        ctx.log.info("first")
        await box.clock.sleep(1)
        ctx.log.info("last")

    async with Box(talks, folder=tmp_path) as box:
        run = await box.trigger("talks")
        assert await box.logs(run.id) == []  # gathered a moment
        await box.advance(0.1)
        assert [one.message for one in await box.logs(run.id)] == ["first"]
        await box.advance(0.9)
        assert (await box.execution(run.id)).state is ExecutionState.SUCCEEDED
        assert [one.message for one in await box.logs(run.id)] == ["first", "last"]


async def test_a_run_may_have_a_program_that_was_not_given(tmp_path):
    @agent
    async def here():
        return 1

    async with Box(here, folder=tmp_path) as box:
        await box.engine.store.write(
            lambda tx: tx._execute("UPDATE agents SET spec = replace(spec, ':here', ':gone')")
        )
    async with Box(folder=tmp_path) as box:
        assert (await box.agent("here")).state_reason == "source_missing"
        await box.services.agents.command(AgentEvent.RESUME, "here", reason="", request=BY_TEST)
        done = await box.run("here")
        assert (done.state, done.error.type) == (ExecutionState.FAILED, "program_load")
        assert "was not given to `nightcrew up`" in done.error.message
        found = await box.agent("here")
        assert (found.state, found.state_reason) == (AgentState.ERROR, "program_load")


async def test_a_drain_lets_runs_end_in_its_time(tmp_path):
    @agent(max_concurrency=1)
    async def work():
        await box.clock.sleep(5)
        return "done"

    async with Box(work, folder=tmp_path) as box:
        running, waiting = await box.trigger("work"), await box.trigger("work")
        box.engine.drain(10)
        await box.advance(5)
        await box.stop()
    with sqlite3.connect(tmp_path / "nightcrew.db") as file:
        rows = dict(file.execute("SELECT id, state || coalesce(result, '') FROM executions").fetchall())
    # Nothing new was begun.
    assert rows == {running.id: 'STATE_SUCCEEDED"done"', waiting.id: "STATE_QUEUED"}
    async with Box(work, folder=tmp_path, clock=box.clock) as box:
        assert (await box.ended(waiting.id)).result == '"done"'


async def test_a_drain_interrupts_what_outlasts_it_and_counts_nothing(tmp_path):
    begun, release = [], asyncio.Event()

    @agent
    async def work():
        begun.append(1)
        await box.clock.sleep(100)
        return "done"

    @agent(cancel_grace=3600)
    async def stubborn():
        begun.append(1)
        if len(begun) > 2:
            return "second"
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "first"

    async with Box(work, stubborn, folder=tmp_path) as box:
        runs = [await box.trigger("work"), await box.trigger("stubborn")]
        box.engine.drain(10)
        await box.advance(14)
        await box.stop()
        assert box.clock.monotonic() < 20
    async with Box(work, stubborn, folder=tmp_path, clock=box.clock) as box:
        for run in runs:
            done = await box.ended(run.id)
            assert (done.state, done.attempt, done.interruptions, done.unclean) == (
                ExecutionState.SUCCEEDED,
                1,
                1,
                0,
            )
            assert done.lease == 2
        assert (await box.agent("stubborn")).state is AgentState.ACTIVE
    release.set()


async def test_a_crash_of_the_runtime_is_an_interruption(tmp_path):
    begun = []

    @agent(retry=Retry(max_attempts=1))
    async def work():
        begun.append(1)
        if len(begun) == 1:
            await box.clock.sleep(100)
        return len(begun)

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
    async with Box(work, folder=tmp_path) as box:
        done = await box.ended(run.id)
        assert (done.state, done.result, done.attempt, done.lease) == (ExecutionState.SUCCEEDED, "2", 1, 2)
        assert (done.interruptions, done.unclean) == (1, 1)
        assert await events_of(box, run.id) == ["queued", "started", "queued", "started", "succeeded"]


async def test_five_crashes_in_a_row_are_a_crash_loop(tmp_path):
    @agent(pause_after_failures=1)
    async def poison():
        await box.clock.sleep(100)

    async with Box(poison, folder=tmp_path) as box:
        run = await box.trigger("poison")
    for number in range(1, 5):
        async with Box(poison, folder=tmp_path) as box:
            row = await box.execution(run.id)
            assert (row.unclean, row.state) == (number, ExecutionState.RUNNING)
            live = box.engine.executor._runs[run.id]
            program = live.claimed.agent.spec.program
            job = live.job(box.engine.registry.find(program), "ISOLATION_INLINE", program)
            assert job.own_worker is (number >= 3)
            # Where it is to have a worker of its own it is not on this loop any more.
    async with Box(poison, folder=tmp_path) as box:
        done = await box.execution(run.id)
        assert (done.state, done.error.type) == (ExecutionState.FAILED, "crash_loop")
        assert "interrupted 5 times in a row" in done.error.message
        assert (await box.agent("poison")).state_reason == "too_many_failures"


async def test_an_outcome_is_kept_until_the_store_heals(tmp_path, failing):
    gate = asyncio.Event()

    @agent
    async def work(ctx: Context):
        ctx.log.info("before")
        await gate.wait()
        ctx.log.info("after")
        return "worth keeping"

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        async with failing(box.engine.store):
            await box.advance(1)  # the log writer tries, and keeps what it could not write
            gate.set()
            await box.advance(30)
            assert (await box.execution(run.id)).state is ExecutionState.RUNNING
        done = await box.ended(run.id)
        assert (done.state, done.result) == (ExecutionState.SUCCEEDED, '"worth keeping"')
        assert [one.message for one in await box.logs(run.id)] == ["before", "after"]
        # Nobody else was disturbed.
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_drain_does_not_wait_for_ever_for_a_store_that_fails(tmp_path, failing):
    gate = asyncio.Event()

    @agent
    async def work():
        await gate.wait()

    async with Box(work, folder=tmp_path) as box:
        run = await box.trigger("work")
        async with failing(box.engine.store):
            gate.set()
            await box.settle()
            box.engine.drain(5)
            await box.advance(14)
            assert not box.engine.ending
            await box.advance(2)
            assert box.engine.ending
    async with Box(work, folder=tmp_path) as box:
        assert (await box.ended(run.id)).state is ExecutionState.SUCCEEDED


async def test_surrogates_in_what_a_program_says_and_raises_are_no_poison(tmp_path):
    @agent
    async def odd(ctx: Context):
        ctx.log.info("a lone \ud800 surrogate", field="\udfff")
        print("\ud800")
        raise type("Odd\ud800", (ValueError,), {})("\ud800 again")

    async with Box(odd, folder=tmp_path) as box:
        done = await box.run("odd")
        assert done.state is ExecutionState.FAILED
        json.dumps([done.error.type, done.error.message]).encode()
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_asking_for_a_run_that_is_not_here_does_nothing(tmp_path):
    async with Box(folder=tmp_path) as box:
        box.engine.executor.kill("nobody")
        assert not box.engine.executor.owns("nobody", 1)
        assert box.engine.executor.runs_of("nobody") == []
