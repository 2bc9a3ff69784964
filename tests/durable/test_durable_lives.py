"""Durable work over outages, cancels and changes of code: it goes on as it should, and cleans up when it may not."""

import asyncio

import pytest

from nightcrew.agent import Context, agent
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.step import WaitKind
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

WEEK = 7 * 86_400
BY_TEST = Request(method="test")


async def cancel(box, execution):
    await box.services.executions.cancel(execution.id, reason="enough", request=BY_TEST)
    await box.settle()
    return await box.execution(execution.id)


async def test_a_wait_goes_on_over_an_outage():
    calls = []

    @agent()
    async def digest(ctx: Context):
        await ctx.step("a", calls.append, "a")
        await ctx.sleep(hours=2)
        await ctx.step("b", calls.append, "b")

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        await box.restart(hours=5)
        assert (await box.execution(execution.id)).state is ExecutionState.SUCCEEDED
        assert calls == ["a", "b"]


@pytest.mark.parametrize("join", ["gather", "group"])
async def test_parallel_steps_find_their_entries_whatever_their_timing(join, signal):
    calls = []
    order = [3, 1, 2]

    async def work(number):
        calls.append(number)
        await box.clock.sleep(order[0] * number)
        return number

    async def one(ctx, number):
        first = await ctx.step("work", work, number)
        answer = await ctx.wait_signal(f"go{number}")
        return [first, answer, await ctx.step("work", work, number * 10)]

    @agent()
    async def crowd(ctx: Context):
        if join == "gather":
            return await asyncio.gather(*(one(ctx, number) for number in (1, 2, 3)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(ctx, number)) for number in (1, 2, 3)]
        return [task.result() for task in tasks]

    async with Box(crowd) as box:
        execution = await box.trigger("crowd")
        await box.advance(60)
        assert (await box.execution(execution.id)).state is ExecutionState.WAITING
        for number in (3, 1, 2):
            order[0] = number
            await signal(box, execution, f"go{number}", number)
            await box.advance(minutes=5)
            await box.restart(minutes=5)
        ended = await box.ended(execution.id)
        assert ended.result == "[[1,1,10],[2,2,20],[3,3,30]]"
        assert sorted(calls) == [1, 2, 3, 10, 20, 30]


async def test_a_sleep_beside_work_does_not_end_the_work():
    calls = []

    async def long():
        await box.clock.sleep(1000)
        calls.append("long")
        return "long"

    async def nap(ctx):
        await ctx.sleep(10)
        return await ctx.step("nap", lambda: "nap")

    @agent()
    async def both(ctx: Context):
        return await asyncio.gather(ctx.step("long", long), nap(ctx))

    async with Box(both) as box:
        assert (await box.run("both")).result == '["long","nap"]'
        assert calls == ["long"]


async def test_a_cancel_while_it_waits_runs_what_cleans_up(signal):
    seen = []

    @agent()
    async def careful(ctx: Context):
        await ctx.step("take", seen.append, "taken")
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            await ctx.step("undo", seen.append, "undone")
            raise
        finally:
            seen.append("finally")

    async with Box(careful) as box:
        execution = await box.trigger("careful")
        assert seen == ["taken", "finally"]  # a wait frees memory by raising through the program
        ended = await cancel(box, execution)
        assert ended.state is ExecutionState.CANCELLED
        assert (ended.cancel_reason, ended.lease) == ("enough", 2)
        assert seen == ["taken", "finally", "undone", "finally"]


@pytest.mark.parametrize("what", ["signal", "cancel"])
async def test_what_comes_while_it_leaves_memory_is_not_missed(what):
    lives = []

    @agent()
    async def leaving(ctx: Context):
        lives.append("begun")
        try:
            return await ctx.wait_signal("go")
        finally:
            if len(lives) == 1 and what == "signal":
                await box.services.steps.signal(ctx.execution_id, "go", 7, request=BY_TEST)
            elif len(lives) == 1:
                await box.services.executions.cancel(ctx.execution_id, reason="enough", request=BY_TEST)

    async with Box(leaving) as box:
        execution = await box.trigger("leaving")
        ended = await box.execution(execution.id)
        assert len(lives) == 2
        if what == "signal":
            assert ended.result == "7"
        else:
            assert (ended.state, ended.cancel_reason) == (ExecutionState.CANCELLED, "enough")


async def test_one_that_waits_again_as_it_cleans_up_is_cancelled_all_the_same():
    @agent()
    async def slow(ctx: Context):
        try:
            await ctx.wait_signal("go")
        finally:
            await ctx.sleep(days=1)

    async with Box(slow) as box:
        execution = await box.trigger("slow")
        assert (await cancel(box, execution)).state is ExecutionState.CANCELLED


async def test_stopping_an_agent_cleans_up_what_waits():
    seen = []

    @agent()
    async def careful(ctx: Context):
        try:
            await ctx.wait_signal("go")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with Box(careful) as box:
        execution = await box.trigger("careful")
        await box.command("stop", "careful")
        assert (await box.execution(execution.id)).state is ExecutionState.CANCELLED
        assert seen == ["cancelled"]
        assert (await box.agent("careful")).state == "STATE_STOPPED"


async def test_code_that_does_not_fit_parks_the_run_until_it_does():
    version = {"steps": ("a", "b")}
    calls = []

    @agent()
    async def digest(ctx: Context):
        for name in version["steps"]:
            await ctx.step(name, calls.append, name)
        await ctx.sleep(hours=1)
        return "done"

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        version["steps"] = ("x", "b")
        await box.advance(hours=1)
        parked = await box.execution(execution.id)
        assert (parked.state, parked.wait.kind) == (ExecutionState.WAITING, WaitKind.CODE)
        assert "step 'x'" in parked.wait.message
        assert "step 'a'" in parked.wait.message
        await box.restart()
        assert (await box.execution(execution.id)).wait.kind is WaitKind.CODE
        version["steps"] = ("a", "b")
        await box.services.executions.retry(execution.id, request=BY_TEST)
        await box.settle()
        assert (await box.execution(execution.id)).result == '"done"'
        assert calls == ["a", "b"]


async def test_other_arguments_are_another_step():
    given = [1]

    @agent()
    async def digest(ctx: Context):
        await ctx.step("a", lambda x: x, given[0])
        await ctx.sleep(1)

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        given[0] = 2
        await box.advance(5)
        assert "other arguments" in (await box.execution(execution.id)).wait.message


async def test_from_a_step_on_it_runs_again():
    calls = []

    def work(name):
        calls.append(name)
        if calls == ["a", "b", "c"]:
            raise ValueError("no")
        return name

    @agent()
    async def digest(ctx: Context):
        return [await ctx.step(name, work, name) for name in "abc"]

    async with Box(digest) as box:
        execution = await box.run("digest")
        assert execution.state is ExecutionState.FAILED
        again = await box.services.executions.retry(execution.id, request=BY_TEST, from_step=("b", 0))
        ended = await box.ended(again.id)
        assert ended.result == '["a","b","c"]', ended.error
        assert calls == ["a", "b", "c", "b", "c"]
        assert ended.trigger.cause_execution_id == execution.id


async def test_what_is_gone_takes_its_journal_along(signal):
    @agent()
    async def digest(ctx: Context):
        await ctx.step("a", lambda: 1)
        await ctx.wait_signal("go")

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        await signal(box, execution, "other")
        await box.command("stop", "digest")
        await box.services.agents.delete("digest", force=False, etag="", request=BY_TEST)
        await box.settle()
        left = await box.engine.store.write(
            lambda tx: [
                tx.steps._execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in ("steps", "signals", "waits")
            ]
        )
        assert left == [0, 0, 0]


async def test_a_journal_has_an_end(monkeypatch):
    monkeypatch.setattr("nightcrew.domain.journal.MAX_STEPS", 10)

    @agent()
    async def endless(ctx: Context):
        while True:
            await ctx.step("on", lambda: None)

    async with Box(endless) as box:
        execution = await box.run("endless")
        assert (execution.state, execution.error.type) == (ExecutionState.FAILED, "JournalFull")
        assert execution.steps == 10
