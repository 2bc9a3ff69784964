"""The budget guard on the real store: what counts, when an agent is paused, and how it comes back."""

import asyncio
from datetime import timedelta

import pytest

from nightcrew.agent import BudgetExceeded, Context, Limits, SyncContext, agent, every
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument
from nightcrew.domain.execution import ExecutionState
from nightcrew.services.once import Request
from nightcrew.testing.box import Box


async def paused(box, agent_id):
    return [one.data for one in await box.events(agent_id) if one.type == "nightcrew.agent.paused"]


async def used(box, agent_id):
    _, status = await box.services.status.of(agent_id)
    return {f"{one.name} {one.per.name}": (one.used, one.max) for one in status.limits}


async def test_another_execution_than_an_hour_may_have_pauses_it_once():
    @agent(limits=Limits(executions_per_hour=3))
    async def quick():
        return None

    async with Box(quick) as box:
        for _ in range(3):
            await box.run("quick")
        assert (await box.agent("quick")).state is AgentState.ACTIVE  # all of it is used, and no more
        late = [await box.trigger("quick") for _ in range(3)]
        found = await box.agent("quick")
        assert (found.state, found.state_reason) == (
            AgentState.PAUSED,
            "limit_reached: executions 3 of 3 in this hour, until 2026-01-01T01:00:00Z",
        )
        (data,) = await paused(box, "quick")
        assert "limit_reached: executions 3 of 3" in data
        assert await used(box, "quick") == {"executions HOUR": (3, 3)}
        with pytest.raises(
            FailedPrecondition, match=r"until 2026-01-01T01:00:00Z; raise the limit"
        ) as caught:
            await box.command("resume", "quick")
        assert caught.value.code == "limit_reached"
        await box.advance(hours=1)
        assert (await box.agent("quick")).state is AgentState.PAUSED
        await box.command("resume", "quick")
        assert {(await box.execution(one.id)).state for one in late} == {ExecutionState.SUCCEEDED}
        assert len(await paused(box, "quick")) == 1


async def test_a_schedule_as_often_as_its_limit_is_never_paused():
    @agent(triggers=[every(hours=1)], limits=Limits(executions_per_hour=1))
    async def hourly():
        return None

    async with Box(hourly) as box:
        await box.advance(hours=24)
        assert len(await box.executions("hourly")) == 24
        assert (await box.agent("hourly")).state is AgentState.ACTIVE


async def test_raising_the_limit_lets_it_be_resumed():
    @agent(limits=Limits(executions_per_hour=1))
    async def quick():
        return None

    async with Box(quick) as box:
        await box.run("quick")
        waiting = await box.trigger("quick")
        await box.services.agents.update(
            "quick",
            {"spec": {"limits": {"executions_per_hour": 2}}},
            paths=["spec.limits.executions_per_hour"],
            etag="",
            request=Request(method="test"),
        )
        await box.command("resume", "quick")
        assert (await box.execution(waiting.id)).state is ExecutionState.SUCCEEDED


async def test_started_again_it_is_paused_again_as_soon_as_it_would_work():
    @agent(limits=Limits(executions_per_hour=1))
    async def quick():
        return None

    async with Box(quick) as box:
        await box.run("quick")
        await box.trigger("quick")
        await box.command("stop", "quick")
        await box.command("start", "quick")
        assert (await box.agent("quick")).state is AgentState.ACTIVE
        last = await box.trigger("quick")
        assert (await box.agent("quick")).state is AgentState.PAUSED
        assert (await box.execution(last.id)).state is ExecutionState.QUEUED
        assert len(await paused(box, "quick")) == 2


async def test_retries_and_waits_are_no_executions_more():
    from nightcrew.agent import Retry

    seen = []

    @agent(limits=Limits(executions_per_hour=1), retry=Retry(max_attempts=3, initial_backoff=1))
    async def stubborn(ctx: Context):
        await ctx.sleep(1)
        seen.append(ctx.attempt)
        if ctx.attempt < 3:
            raise OSError("again")
        return "done"

    async with Box(stubborn) as box:
        assert (await box.run("stubborn")).state is ExecutionState.SUCCEEDED
        assert await used(box, "stubborn") == {"executions HOUR": (1, 1)}
        assert (await box.agent("stubborn")).state is AgentState.ACTIVE


async def test_run_time_is_counted_as_attempts_end_and_waits_are_free():
    @agent(limits=Limits(run_time_per_day=100))
    async def slow(ctx: Context):
        await asyncio.sleep(0)
        await box.clock.sleep(40)
        await ctx.sleep(hours=1)

    async with Box(slow) as box:
        for number in range(2):
            await box.run("slow", limit=7200)
            assert (await used(box, "slow"))["run_time DAY"] == ((number + 1) * 80, 100)
        assert (await box.agent("slow")).state_reason == (
            "limit_reached: run_time 120 s of 100 s in this day, until 2026-01-02T00:00:00Z"
        )


@pytest.mark.parametrize("sync", [False, True])
async def test_what_is_spent_past_a_limit_pauses_it_and_ends_what_spends_on(sync):
    limits = Limits(spend_per_day={"usd": 1})

    @agent(id="a", limits=limits)
    async def spends(ctx: Context, times: int):
        for number in range(times):
            await ctx.spend("usd", 0.3)
            ctx.log.info(str(number))

    @agent(id="a", limits=limits)
    def spends_too(ctx: SyncContext, times: int):
        for number in range(times):
            ctx.spend("usd", 0.3)
            ctx.log.info(str(number))

    async with Box(spends_too if sync else spends) as box:
        assert (await box.run("a", {"times": 3})).state is ExecutionState.SUCCEEDED
        assert await used(box, "a") == {"usd DAY": (0.9, 1)}
        assert (await box.agent("a")).state is AgentState.ACTIVE
        over = await box.run("a", {"times": 5})
        # The report that went past it is the program's last good one; the next is counted and raises.
        assert over.state is ExecutionState.FAILED
        assert over.error.type == "BudgetExceeded"
        assert "usd 1.5 of 1 in this day" in over.error.message
        assert [one.message for one in await box.logs(over.id)] == ["0"]
        assert await used(box, "a") == {"usd DAY": (1.5, 1)}
        assert (await box.agent("a")).state_reason == (
            "limit_reached: usd 1.2 of 1 in this day, until 2026-01-02T00:00:00Z"
        )
        assert len(await paused(box, "a")) == 1
        held = await box.trigger("a", {"times": 1})
        assert held.state is ExecutionState.QUEUED
        await box.advance(days=1)
        await box.command("resume", "a")
        assert (await box.execution(held.id)).state is ExecutionState.SUCCEEDED
        assert await used(box, "a") == {"usd DAY": (0.3, 1)}


async def test_a_program_that_runs_again_has_spent_once():
    @agent(limits=Limits(spend_per_day={"usd": 10}, spend_per_hour={"usd": 9}))
    async def careful(ctx: Context):
        await ctx.spend("usd", 1)
        await ctx.sleep(60)
        await asyncio.gather(ctx.spend("usd", 0.5), ctx.spend("tokens", 700))
        await ctx.wait_signal("go")

    async with Box(careful) as box:
        execution = await box.trigger("careful")
        await box.restart()
        await box.advance(minutes=2)
        await box.restart()
        await box.services.steps.signal(execution.id, "go", None, request=Request(method="test"))
        await box.settle()
        assert (await box.execution(execution.id)).state is ExecutionState.SUCCEEDED
        assert await used(box, "careful") == {"usd DAY": (1.5, 10), "usd HOUR": (1.5, 9)}


async def test_a_refused_report_is_refused_again_when_the_journal_answers():
    told = []

    @agent(limits=Limits(spend_per_day={"usd": 0.5}))
    async def poor(ctx: Context):
        await ctx.spend("usd", 1)
        try:
            await ctx.spend("usd", 2)
        except BudgetExceeded as error:
            told.append(str(error))
        await ctx.sleep(60)
        return "made good"

    async with Box(poor) as box:
        assert (await box.run("poor")).result == '"made good"'
        assert len(told) == 2
        assert len(set(told)) == 1
        assert await used(box, "poor") == {"usd DAY": (3, 0.5)}


async def test_two_that_pass_a_limit_at_once_pause_it_once():
    @agent(max_concurrency=0, limits=Limits(spend_per_day={"usd": 1}))
    async def many(ctx: Context):
        await ctx.spend("usd", 0.6)

    async with Box(many) as box:
        made = await asyncio.gather(*(box.trigger("many") for _ in range(10)))
        await box.settle()
        assert len(await paused(box, "many")) == 1
        states = [(await box.execution(one.id)).state for one in made]
        assert states.count(ExecutionState.SUCCEEDED) >= 2
        count = len([one for one in states if one is not ExecutionState.QUEUED])
        assert (await used(box, "many"))["usd DAY"] == (pytest.approx(0.6 * count), 1)


async def test_without_limits_a_report_is_only_journaled():
    @agent
    async def free(ctx: Context):
        await ctx.spend("usd", 1_000_000)
        return "fine"

    async with Box(free) as box:
        execution = await box.run("free")
        assert execution.result == '"fine"'
        assert execution.steps == 1
        assert await used(box, "free") == {}


async def test_an_amount_that_is_none_is_the_programs_error():
    @agent
    async def wrong(ctx: Context):
        await ctx.spend("usd", -1)

    async with Box(wrong) as box:
        execution = await box.run("wrong")
        assert execution.state is ExecutionState.FAILED
        assert "amount" in execution.error.message


async def test_a_clock_that_is_set_back_over_midnight_gives_no_second_budget():
    @agent(limits=Limits(spend_per_day={"usd": 1}))
    async def spends(ctx: Context):
        await ctx.spend("usd", 1)

    async with Box(spends) as box:
        await box.run("spends")
        box.clock.shift_wall(-3600)
        assert await used(box, "spends") == {"usd DAY": (1, 1)}
        await box.run("spends")
        assert (await box.agent("spends")).state is AgentState.PAUSED


def test_limits_in_a_decorator():
    made = Limits(executions_per_hour=5, run_time_per_day=timedelta(hours=1), spend_per_month={"usd": 2})
    assert made.limits.to_json() == {
        "executions_per_hour": 5,
        "run_time_per_day": "3600s",
        "spend": [{"name": "usd", "per": "PER_MONTH", "max": 2.0}],
    }
    for wrong in ({"executions_per_hour": -1}, {"spend_per_day": {"usd": -1}}, {"spend_per_day": 5}):
        with pytest.raises(InvalidArgument):
            Limits(**wrong)


@pytest.mark.parametrize("state", [AgentState.ERROR, AgentState.STOPPING])
async def test_an_agent_that_takes_no_work_stays_as_it_is_when_it_passes_a_limit(state):
    go = asyncio.Event()

    @agent(limits=Limits(spend_per_day={"usd": 1}))
    async def late(ctx: Context):
        try:
            await go.wait()
        finally:
            await ctx.spend("usd", 5)

    async with Box(late) as box:
        await box.trigger("late")
        if state is AgentState.ERROR:
            await box.engine.commits.run(
                lambda tx, after: fail_agent(tx, after, "late", reason="test", now=box.now)
            )
        else:
            await box.command("stop", "late")
        go.set()
        await box.settle()
        assert (await used(box, "late"))["usd DAY"] == (5, 1)
        found = await box.agent("late")
        assert (found.state, await paused(box, "late")) == (
            AgentState.ERROR if state is AgentState.ERROR else AgentState.STOPPED,
            [],
        )
