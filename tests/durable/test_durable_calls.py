"""Every durable call of the Context, in a box: done once, remembered, and the same when the program runs again."""

import pytest

from nightcrew.agent import CallFailed, Context, NonRetryable, Retry, StepFailed, SyncContext, agent
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.step import StepKind, StepState, WaitKind
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

WEEK = 7 * 86_400


@pytest.fixture
def calls():
    return []


async def test_a_step_runs_once_and_what_it_returned_is_there_again(calls):
    def fetch(what):
        calls.append(what)
        return (what, 1)

    @agent()
    async def digest(ctx: Context):
        first = await ctx.step("fetch", fetch, "orders")
        await ctx.sleep(days=2)
        return [first, await ctx.step("fetch", fetch, "bills")]

    async with Box(digest) as box:
        execution = await box.run("digest", limit=WEEK)
        assert execution.result == '[["orders",1],["bills",1]]'  # a tuple is a list from the first run on
        assert calls == ["orders", "bills"]
        assert execution.attempt == 1
        assert (execution.end_time - execution.create_time).days == 2


async def test_a_sync_program_has_the_same_calls(calls):
    @agent()
    def digest(ctx: SyncContext):
        first = ctx.step("fetch", calls.append, "orders")
        ctx.sleep(days=2)
        moment = ctx.now()
        ctx.publish("digest.sent", {"to": "me"})
        with pytest.raises(TimeoutError):
            ctx.wait_signal("approve", timeout=60)
        return [first, ctx.now() == moment, 0 <= ctx.random() < 1]

    async with Box(digest) as box:
        execution = await box.run("digest", limit=WEEK)
        assert execution.result == "[null,false,true]", execution.error
        assert calls == ["orders"]
        assert [one.type for one in await box.events() if one.type == "digest.sent"] == ["digest.sent"]


async def test_a_step_that_fails_raises_the_same_each_time(calls):
    def fails(kind):
        calls.append(kind)
        raise ValueError("no luck", 7) if kind == "plain" else Odd(1, 2)

    @agent()
    async def digest(ctx: Context):
        seen = []
        for kind in ("plain", "odd"):
            try:
                await ctx.step(kind, fails, kind)
            except (ValueError, StepFailed) as error:
                seen.append([type(error).__name__, str(error)])
        await ctx.sleep(1)
        return seen

    async with Box(digest) as box:
        execution = await box.run("digest")
        assert execution.result == '[["ValueError","(\'no luck\', 7)"],["StepFailed","Odd: 1 and 2"]]'
        assert calls == ["plain", "odd"]


class Odd(Exception):  # noqa: N818 - an author's own
    """It can't be made from what it says."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


async def test_a_step_is_tried_again_and_sleeps_meanwhile(calls):
    def flaky():
        calls.append("try")
        if len(calls) < 3:
            raise OSError("not yet")
        return "done"

    @agent()
    async def digest(ctx: Context):
        retry = Retry(max_attempts=5, initial_backoff=3600, max_backoff=86_400, jitter=False)
        return await ctx.step("fetch", flaky, retry=retry)

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        assert (await box.execution(execution.id)).state is ExecutionState.WAITING
        assert (await box.ended(execution.id, limit=WEEK)).result == '"done"'
        assert len(calls) == 3


async def test_a_step_is_not_tried_again_after_nonretryable(calls):
    def fails():
        calls.append("try")
        raise NonRetryable("never")

    @agent(retry=Retry(max_attempts=3))
    async def digest(ctx: Context):
        await ctx.step("fetch", fails, retry=Retry(max_attempts=5))

    async with Box(digest) as box:
        execution = await box.run("digest")
        assert (execution.state, execution.attempt) == (ExecutionState.FAILED, 1)
        assert calls == ["try"]


async def test_the_next_attempt_keeps_what_succeeded_and_does_the_failed_step_again(calls):
    def work(what):
        calls.append(what)
        if what == "b" and calls.count("b") < 2:
            raise OSError("not yet")
        return what

    @agent(retry=Retry(max_attempts=3))
    async def digest(ctx: Context):
        return [await ctx.step("a", work, "a"), await ctx.step("b", work, "b")]

    async with Box(digest) as box:
        execution = await box.run("digest")
        assert (execution.result, execution.attempt) == ('["a","b"]', 2)
        assert calls == ["a", "b", "b"]


async def test_an_own_key_finds_the_step_wherever_it_has_moved(calls):
    seen = []

    @agent()
    async def digest(ctx: Context):
        seen.append(ctx.step_key)
        keys = await ctx.step("a", lambda: [ctx.step_key], key="mine")
        await ctx.sleep(1)
        return keys

    async with Box(digest) as box:
        execution = await box.run("digest")
        assert execution.result == f'["{execution.id}:key:mine"]'
        assert seen == [execution.id] * 2


@pytest.mark.parametrize("when", ["before", "during", "after"])
async def test_a_signal_is_never_missed(signal, when):
    @agent()
    async def approval(ctx: Context):
        await ctx.sleep(hours=1)
        try:
            return await ctx.wait_signal("approve", timeout=3600, message="publish it?")
        except TimeoutError as error:
            return str(error)

    async with Box(approval) as box:
        execution = await box.trigger("approval")
        if when != "before":
            await box.advance(hours=1)
            waiting = await box.execution(execution.id)
            assert (waiting.wait.kind, waiting.wait.signal) == (WaitKind.SIGNAL, "approve")
            assert waiting.wait.message == "publish it?"
        if when == "after":
            await box.advance(hours=1)
            assert "did not come within 1:00:00" in (await box.execution(execution.id)).result
            return
        await signal(box, execution, "approve", {"by": "ann"})
        ended = await box.ended(execution.id, limit=WEEK)
        assert ended.result == '{"by":"ann"}'


async def test_signals_of_one_name_are_taken_in_order_and_other_names_wait(signal):
    @agent()
    async def approval(ctx: Context):
        return [await ctx.wait_signal(name) for name in ("a", "b", "a")]

    async with Box(approval) as box:
        execution = await box.trigger("approval")
        for number, name in enumerate(["b", "a", "a"]):
            await signal(box, execution, name, number)
        assert (await box.ended(execution.id)).result == "[1,0,2]"


async def test_an_event_ends_the_wait_that_it_matches(journal):
    @agent()
    async def shop(ctx: Context):
        event = await ctx.wait_event("shop.order.*", filter="event.data.total > 10", timeout=7200)
        return [event["type"], event["data"]]

    @agent()
    async def seller(ctx: Context, total: int):
        await ctx.publish("shop.order.created", {"total": total})

    async with Box(shop, seller) as box:
        execution = await box.trigger("shop")
        await box.run("seller", {"total": 5})
        assert (await box.execution(execution.id)).wait.kind is WaitKind.EVENT
        await box.run("seller", {"total": 50})
        assert (await box.execution(execution.id)).result == '["shop.order.created",{"total":50}]'
        late = await box.trigger("shop")
        await box.advance(hours=2)
        assert "TimeoutError" in (await box.execution(late.id)).error.type


async def test_a_filter_that_is_none_fails_the_wait():
    @agent()
    async def shop(ctx: Context):
        await ctx.wait_event("shop.order", filter="event.data >")

    async with Box(shop) as box:
        assert (await box.run("shop")).error.type == "InvalidArgument"


async def test_a_call_gives_its_result_its_failure_and_is_cancelled_with_its_caller():
    @agent()
    async def child(ctx: Context, how: str):
        await ctx.sleep(hours=1)
        if how == "fail":
            raise ValueError("broken")
        return {"how": how}

    @agent(max_concurrency=10)
    async def parent(ctx: Context, how: str):
        try:
            return await ctx.call("child", {"how": how})
        except CallFailed as error:
            return str(error)

    async with Box(child, parent) as box:
        assert (await box.run("parent", {"how": "well"}, limit=WEEK)).result == '{"how":"well"}'
        assert "FAILED: broken" in (await box.run("parent", {"how": "fail"}, limit=WEEK)).result
        caller = await box.trigger("parent", {"how": "late"})
        called = (await box.executions("child"))[-1]
        assert (called.trigger.kind, called.trigger.cause_execution_id) == (TriggerKind.CALL, caller.id)
        await box.services.executions.cancel(caller.id, reason="enough", request=Request(method="test"))
        await box.settle()
        assert (await box.execution(called.id)).state is ExecutionState.CANCELLED
        assert (await box.execution(caller.id)).state is ExecutionState.CANCELLED


async def test_an_agent_that_is_not_there_can_not_be_called():
    @agent()
    async def parent(ctx: Context):
        try:
            await ctx.call("nobody")
        except CallFailed as error:
            return str(error)

    async with Box(parent) as box:
        assert "nobody" in (await box.run("parent")).result


async def test_now_random_and_publish_are_the_same_when_it_runs_again():
    seen = []

    @agent()
    async def digest(ctx: Context):
        seen.append([await ctx.now(), await ctx.random()])
        await ctx.publish("digest.sent", {"to": "me"}, subject="me")
        await ctx.sleep(hours=1)
        await ctx.sleep(hours=1)

    async with Box(digest) as box:
        execution = await box.run("digest", limit=WEEK)
        assert execution.state is ExecutionState.SUCCEEDED
        assert len(seen) == 3
        assert seen[0] == seen[1] == seen[2]
        (event,) = [one for one in await box.events() if one.type == "digest.sent"]
        assert (event.subject, event.execution_id) == ("me", execution.id)


@pytest.mark.parametrize("kind", ["nightcrew.agent.created", "with\nbreak"])
async def test_an_event_that_is_none_fails_the_publish_and_nothing_is_published(kind):
    @agent()
    async def digest(ctx: Context):
        await ctx.publish(kind)

    async with Box(digest) as box:
        error = (await box.run("digest")).error
        assert error.type == "InvalidArgument"
        assert "publish[0].type" in error.message
        assert kind not in {one.type for one in await box.events("digest") if one.execution_id}


async def test_it_goes_on_as_a_new_execution_and_its_caller_waits_for_that():
    @agent()
    async def counter(ctx: Context, left: int):
        ctx.state["runs"] = ctx.state.get("runs", 0) + 1
        if left:
            ctx.continue_as_new({"left": left - 1})
        return ctx.state["runs"]

    @agent()
    async def parent(ctx: Context):
        return await ctx.call("counter", {"left": 2})

    async with Box(counter, parent) as box:
        assert (await box.run("parent", limit=WEEK)).result == "3"
        first, second, third = await box.executions("counter")
        assert first.state is second.state is third.state is ExecutionState.SUCCEEDED
        assert (second.trigger.cause_execution_id, second.trigger.kind) == (first.id, TriggerKind.CALL)
        assert third.trigger.cause_execution_id == second.id


async def test_state_is_saved_at_once_when_asked():
    seen = []

    @agent()
    async def saver(ctx: Context):
        seen.append(ctx.state.get("n", 0))
        ctx.state["n"] = seen[-1] + 1
        await ctx.save_state()
        raise ValueError("after it")

    async with Box(saver) as box:
        for _ in range(2):
            await box.run("saver")
    assert seen == [0, 1]


async def test_a_run_that_gives_no_sign_of_life_is_ended(calls):
    @agent(heartbeat_timeout=60)
    async def silent(ctx: Context, beats: int):
        for _ in range(beats):
            ctx.heartbeat({"beat": True})
            await ctx.step("work", lambda: None)
            await box.clock.sleep(50)
        await box.clock.sleep(10_000)

    async with Box(silent) as box:
        execution = await box.run("silent", {"beats": 3}, limit=WEEK)
        assert (execution.state, execution.error.type) == (ExecutionState.TIMED_OUT, "heartbeat_timeout")
        assert (execution.end_time - execution.start_time).total_seconds() == pytest.approx(160)


async def test_durable_calls_have_no_place_inside_a_step():
    @agent()
    async def nested(ctx: Context):
        async def inner():
            await ctx.sleep(1)

        await ctx.step("outer", inner)

    async with Box(nested) as box:
        error = (await box.run("nested")).error
        assert error.type == "DurableUnavailable"
        assert "inside a step" in error.message


async def test_the_journal_can_be_read(journal):
    @agent()
    async def digest(ctx: Context):
        await ctx.step("a", lambda: 1)
        await ctx.wait_signal("go")

    async with Box(digest) as box:
        execution = await box.trigger("digest")
        first, second = await journal(box, execution)
        assert (first.kind, first.name, first.state, first.result) == (
            StepKind.STEP,
            "a",
            StepState.SUCCEEDED,
            "1",
        )
        assert (second.kind, second.awaited, second.state) == (StepKind.SIGNAL, "go", StepState.WAITING)
