"""Runs from their start to the written outcome, in virtual time: limits, retries, cancels, kills, drains, faults."""

import asyncio
from datetime import timedelta

from nightcrew.agent import Context, Retry, agent
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


async def events_of(box, execution_id):
    found = await box.engine.store.reads.events_after(0, limit=1000)
    return [one.type.rsplit(".", 1)[1] for one in found if one.execution_id == execution_id]


async def test_a_result_is_kept(tmp_path):
    @agent(input={"greeting": "hello"})
    async def greet(greeting: str, name: str):
        return {"text": f"{greeting} {name}"}

    async with Box(greet, folder=tmp_path) as box:
        done = await box.run("greet", {"name": "you"})
        assert (done.state, done.result, done.attempt) == (
            ExecutionState.SUCCEEDED,
            '{"text":"hello you"}',
            1,
        )
        assert done.error is None
        assert await events_of(box, done.id) == ["queued", "started", "succeeded"]
        assert box.engine.executor.running == 0


async def test_a_failure_names_its_error_with_its_traceback(tmp_path):
    @agent
    async def fails():
        raise KeyError("nothing here")

    async with Box(fails, folder=tmp_path) as box:
        done = await box.run("fails")
        assert done.state is ExecutionState.FAILED
        assert done.error.type == "KeyError"
        assert "nothing here" in done.error.message
        assert "test_executor.py" in done.error.traceback
        assert (await box.agent("fails")).consecutive_failures == 1


async def test_retries_wait_longer_each_time_and_an_attempt_that_succeeds_is_the_last(tmp_path):
    times = []

    @agent(retry=Retry(max_attempts=5, initial_backoff=10, backoff_multiplier=3, jitter=False))
    async def flaky(ctx: Context):
        times.append(box.clock.monotonic())
        if ctx.attempt < 4:
            raise OSError("not yet")
        return ctx.attempt

    async with Box(flaky, folder=tmp_path) as box:
        first = await box.trigger("flaky")
        row = await box.execution(first.id)
        assert row.state is ExecutionState.RETRYING
        assert row.next_attempt_time == box.clock.now() + timedelta(seconds=10)
        assert row.error.message == "not yet"
        done = await box.ended(first.id)
        assert (done.state, done.result, done.attempt) == (ExecutionState.SUCCEEDED, "4", 4)
        assert times == [0, 10, 40, 100]  # 10 s, 30 s, then the cap of 60 s
        assert done.error is None
        assert await events_of(box, done.id) == [
            "queued",
            *(["started", "retrying", "queued"] * 3),
            "started",
            "succeeded",
        ]


async def test_a_timeout_is_the_end_only_after_the_last_attempt(tmp_path):
    attempts = []

    @agent(timeout=5, retry=Retry(max_attempts=3, initial_backoff=1, backoff_multiplier=1, jitter=False))
    async def slow(ctx: Context):
        attempts.append((ctx.attempt, box.clock.monotonic()))
        await box.clock.sleep(3600)

    async with Box(slow, folder=tmp_path) as box:
        first = await box.trigger("slow")
        await box.advance(5)
        row = await box.execution(first.id)
        assert (row.state, row.error.type) == (ExecutionState.RETRYING, "timeout")
        done = await box.ended(first.id)
        assert (done.state, done.error.type) == (ExecutionState.TIMED_OUT, "timeout")
        assert attempts == [(1, 0), (2, 6), (3, 12)]
        assert done.end_time - done.create_time == timedelta(seconds=17)
        assert (await box.agent("slow")).consecutive_failures == 1


async def test_one_that_returns_in_time_after_its_timeout_has_succeeded(tmp_path):
    @agent(timeout=5)
    async def tidy():
        try:
            await box.clock.sleep(3600)
        except asyncio.CancelledError:
            return "done all the same"

    async with Box(tidy, folder=tmp_path) as box:
        done = await box.run("tidy")
        assert (done.state, done.result) == (ExecutionState.SUCCEEDED, '"done all the same"')


async def test_total_timeout_ends_a_run(tmp_path):
    @agent(total_timeout=30, timeout=20, retry=Retry(max_attempts=9, initial_backoff=1, jitter=False))
    async def slow():
        await box.clock.sleep(3600)

    async with Box(slow, folder=tmp_path) as box:
        done = await box.run("slow")
        assert (done.state, done.error.type, done.attempt) == (ExecutionState.TIMED_OUT, "total_timeout", 2)
        assert done.end_time - done.create_time == timedelta(seconds=30)


async def test_total_timeout_ends_what_waits_in_the_backlog_and_what_waits_for_its_retry(tmp_path):
    gate = asyncio.Event()

    @agent(total_timeout=30, retry=Retry(max_attempts=2, initial_backoff=25, jitter=False), max_concurrency=2)
    async def work(how: str):
        if how == "wait":
            await gate.wait()
        await box.clock.sleep(10)
        raise OSError("again")

    async with Box(work, folder=tmp_path) as box:
        retrying = await box.trigger("work", {"how": "fail"})
        waiting = await box.trigger("work", {"how": "wait"})
        queued = await box.trigger("work", {"how": "wait"})
        await box.advance(10)
        # 25 s more would be past the end: the failure is final, and is told as what it was.
        assert (await box.execution(retrying.id)).state is ExecutionState.FAILED
        assert (await box.execution(retrying.id)).error.type == "OSError"
        assert (await box.execution(queued.id)).state is ExecutionState.RUNNING
        late = await box.trigger("work", {"how": "wait"})
        assert (await box.execution(late.id)).state is ExecutionState.QUEUED
        await box.advance(25)
        assert (await box.execution(waiting.id)).state is ExecutionState.TIMED_OUT
        assert (await box.execution(queued.id)).state is ExecutionState.TIMED_OUT
        assert (
            await box.execution(late.id)
        ).state is ExecutionState.RUNNING  # the places became free at 30 s
        failures = (await box.agent("work")).consecutive_failures
        assert failures == 3
        gate.set()

    @agent(total_timeout=30)
    async def long(seconds: float):
        await box.clock.sleep(seconds)

    async with Box(long, folder=tmp_path / "two") as box:
        await box.services.agents.update(
            "long", {"spec": {}}, paths=["spec.execution.total_timeout"], etag="", request=BY_TEST
        )
        run = await box.trigger("long", {"seconds": 100.0})
        await box.services.agents.update(
            "long",
            {"spec": {"execution": {"total_timeout": "30s"}}},
            paths=["spec.execution.total_timeout"],
            etag="",
            request=BY_TEST,
        )
        never_began = await box.trigger("long", {"seconds": 1.0})
        row = await box.ended(never_began.id)
        assert (row.state, row.error.type, row.started) == (ExecutionState.TIMED_OUT, "total_timeout", False)
        assert row.end_time - row.create_time == timedelta(seconds=30)
        assert (await box.agent("long")).consecutive_failures == 0  # what never began has not failed
        assert (await box.ended(run.id)).state is ExecutionState.SUCCEEDED


async def test_a_retry_that_waits_when_its_total_time_ends_is_timed_out(tmp_path):
    @agent(total_timeout=30, retry=Retry(max_attempts=2, initial_backoff=20, jitter=False))
    async def fails():
        raise OSError("again")

    async with Box(fails, folder=tmp_path) as box:
        first = await box.trigger("fails")
        await box.services.agents.command(AgentEvent.PAUSE, "fails", reason="", request=BY_TEST)
        assert (await box.execution(first.id)).state is ExecutionState.RETRYING
        await box.engine.store.write(
            lambda tx: tx._execute("UPDATE executions SET next_attempt_time = next_attempt_time + 3600000000")
        )
        done = await box.ended(first.id)
        assert (done.state, done.error.type) == (ExecutionState.TIMED_OUT, "total_timeout")
        assert done.end_time - done.create_time == timedelta(seconds=30)
        assert (await box.agent("fails")).consecutive_failures == 1


async def test_an_attempt_uses_the_generation_that_its_agent_has_when_it_starts(tmp_path):
    async def holds(ctx: Context):
        await asyncio.sleep(0)
        await box.clock.sleep(60)

    async with Box(agent(holds), folder=tmp_path) as box:
        await box.trigger("holds")
        second = await box.trigger("holds")
        await box.services.agents.update(
            "holds", {"spec": {"input": {"x": 1}}}, paths=["spec.input"], etag="", request=BY_TEST
        )
        assert (await box.execution(second.id)).agent_generation == 1
        await box.advance(61)
        run = await box.execution(second.id)
        assert (run.state, run.agent_generation) == (ExecutionState.RUNNING, 2)
        await box.advance(61)
