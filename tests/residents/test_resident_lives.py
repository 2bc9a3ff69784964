"""Residents in a box: they run while their agent is ACTIVE, and follow their restart policy."""

import asyncio

import pytest

from nightcrew.agent import Context, Restart, agent, every, resident
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

S = ExecutionState


class Stage:
    """What a resident of a test does, and what it has seen."""

    def __init__(self):
        self.begun = 0
        self.alive = 0
        self.most = 0
        self.fail = asyncio.Event()
        self.end = asyncio.Event()
        self.stubborn = False
        self.inputs = []

    async def play(self, ctx, given):
        self.begun += 1
        self.inputs.append(given)
        self.alive += 1
        self.most = max(self.most, self.alive)
        try:
            done, pending = await asyncio.wait(
                [asyncio.ensure_future(self.fail.wait()), asyncio.ensure_future(self.end.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:
            if self.stubborn:
                return "in its grace"
            raise
        finally:
            self.alive -= 1
        for one in (*pending, *done):
            one.cancel()
        if self.fail.is_set():
            self.fail.clear()
            raise ValueError("the line is dead")
        self.end.clear()
        return "over"


@pytest.fixture
def stage():
    return Stage()


def made(stage, **options):
    triggers = options.pop("triggers", [resident()])

    @agent(id="watch", triggers=triggers, **options)
    async def watch(ctx: Context, input: dict):  # noqa: A002 - the contract's name
        return await stage.play(ctx, input)

    return watch


async def states(box):
    return [one.state for one in await box.executions("watch")]


async def types(box):
    return [one.type.removeprefix("nightcrew.") for one in await box.events("watch")]


async def test_it_runs_while_its_agent_is_active(stage):
    async with Box(made(stage)) as box:
        assert await states(box) == [S.RUNNING]
        (one,) = await box.executions("watch")
        assert (one.trigger.kind, one.trigger.trigger_id) == (TriggerKind.RESIDENT, "resident")
        await box.advance(days=2)
        assert await states(box) == [S.RUNNING]
        await box.command("pause", "watch")
        assert await states(box) == [S.CANCELLED]
        await box.advance(hours=1)
        assert await states(box) == [S.CANCELLED]
        await box.command("resume", "watch")
        assert await states(box) == [S.CANCELLED, S.RUNNING]
        assert (await box.executions("watch"))[1].trigger.cause_execution_id == one.id
        await box.command("stop", "watch")
        assert (await box.agent("watch")).state is AgentState.STOPPED
        assert await states(box) == [S.CANCELLED, S.CANCELLED]
        await box.command("start", "watch")
        assert await states(box) == [S.CANCELLED, S.CANCELLED, S.RUNNING]
    assert stage.most == 1


@pytest.mark.parametrize(
    ("mode", "after_failure", "after_end"),
    [("permanent", True, True), ("transient", True, False), ("temporary", False, False)],
)
async def test_its_policy_says_what_follows(stage, mode, after_failure, after_end):
    async with Box(made(stage, restart=Restart(mode=mode))) as box:
        stage.fail.set()
        await box.settle()
        assert await states(box) == [S.FAILED]
        await box.advance(0.9)
        assert await states(box) == [S.FAILED], "it began before its back-off of 1 s had passed"
        await box.advance(0.1)
        assert await states(box) == [S.FAILED, *[S.RUNNING] * after_failure]
        await box.restart()
        assert len(await states(box)) == (3 if after_failure else 1)
        await box.command("pause", "watch")
        await box.command("resume", "watch")
        before = await states(box)
        assert before[-1] is S.RUNNING
        stage.end.set()
        await box.advance(1)
        assert (await states(box))[len(before) - 1 :] == [S.SUCCEEDED, *[S.RUNNING] * after_end]
        await box.restart()
        assert ((await states(box))[-1] is S.RUNNING) is after_end
        assert (await box.agent("watch")).state is AgentState.ACTIVE


async def test_past_its_intensity_its_agent_goes_to_error_and_begins_afresh_when_people_say(stage):
    async with Box(
        made(stage, restart=Restart(intensity=2, period=60, initial_backoff=1, max_backoff=4))
    ) as box:
        for count, backoff in ((1, 1), (2, 2)):
            stage.fail.set()
            await box.settle()
            assert len(await states(box)) == count
            await box.advance(backoff)
            assert len(await states(box)) == count + 1
        _, status = await box.services.status.of("watch")
        assert status.restarts == 2
        stage.fail.set()
        await box.settle()
        found = await box.agent("watch")
        assert (found.state, found.state_reason) == (AgentState.ERROR, "restart_intensity")
        assert (await types(box)).count("agent.restarted") == 2
        assert (await types(box))[-1] == "agent.failed"
        await box.advance(hours=1)
        assert await states(box) == [S.FAILED] * 3
        await box.command("resume", "watch")
        assert (await states(box))[-1] is S.RUNNING
        stage.fail.set()
        await box.advance(1)
        assert (await box.agent("watch")).state is AgentState.ACTIVE, "leaving ERROR clears the counters"
        assert (await states(box))[-1] is S.RUNNING


async def test_failures_far_apart_never_add_up(stage):
    async with Box(made(stage, restart=Restart(intensity=1, period=60))) as box:
        for _ in range(5):
            stage.fail.set()
            await box.advance(61)
        assert (await box.agent("watch")).state is AgentState.ACTIVE
        assert (await states(box)).count(S.FAILED) == 5
        assert (await box.agent("watch")).consecutive_failures == 0


async def test_a_restart_of_the_runtime_is_not_its_fault(stage):
    async with Box(made(stage, restart=Restart(intensity=1))) as box:
        for count in range(1, 6):
            await box.restart()
            found = await box.executions("watch")
            assert [one.state for one in found] == [*[S.FAILED] * count, S.RUNNING]
            assert found[count - 1].error.type == "runtime_restarted"
        assert (await box.agent("watch")).state is AgentState.ACTIVE
        assert (await box.agent("watch")).consecutive_failures == 0


async def test_one_that_rests_before_its_restart_begins_with_the_runtime(stage):
    async with Box(made(stage)) as box:
        stage.fail.set()
        await box.settle()
        assert await states(box) == [S.FAILED]
        await box.restart()
        assert await states(box) == [S.FAILED, S.RUNNING]


async def test_a_drain_cancels_it_and_the_next_start_begins_it(stage):
    async with Box(made(stage, restart=Restart(mode="transient"))) as box:
        for stubborn, ended in ((False, S.CANCELLED), (True, S.SUCCEEDED)):
            stage.stubborn = stubborn
            box.engine.drain()
            await box.settle()
            await box.restart()
            assert (await states(box))[-2:] == [ended, S.RUNNING]


async def test_it_takes_no_place_and_its_agent_does_other_work(stage):
    seen = []

    @agent(id="both", triggers=[resident(), every(minutes=1)], timeout=30)
    async def both(ctx: Context):
        if ctx.trigger.kind != "KIND_RESIDENT":
            seen.append(ctx.trigger.kind)
            return
        await asyncio.Event().wait()

    async with Box(both) as box:
        await box.advance(minutes=3)
        assert seen == ["KIND_SCHEDULE"] * 3
        await box.run("both")
        assert seen[-1] == "KIND_MANUAL"
        found = await box.executions("both")
        assert [one.state for one in found if one.trigger.kind is TriggerKind.RESIDENT] == [S.RUNNING]


async def test_its_state_is_its_own(stage):
    said = []

    @agent(id="keeper", triggers=[resident()], max_concurrency=3)
    async def keeper(ctx: Context):
        if ctx.trigger.kind != "KIND_RESIDENT":
            ctx.state["n"] = 9
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        await ctx.save_state()
        said.append(ctx.state["n"])
        await asyncio.Event().wait()

    async with Box(keeper) as box:
        other = await box.run("keeper")
        assert (other.state, other.error.message) == (
            S.FAILED,
            "ctx.state of this agent belongs to its resident",
        )
        await box.restart()
    assert said == [1, 2]


async def test_a_changed_spec_begins_it_anew_and_another_change_does_not(stage):
    async with Box(made(stage)) as box:

        async def patch(spec, *paths):
            await box.services.agents.update(
                "watch", {"spec": spec}, paths=paths, etag="", request=Request(method="t")
            )
            await box.settle()

        await patch({"input": {"place": "sea"}}, "spec.input")
        assert await states(box) == [S.CANCELLED, S.RUNNING]
        assert stage.inputs[-1] == {"place": "sea"}
        assert [one.agent_generation for one in await box.executions("watch")] == [1, 2]
        await patch({"restart": {"intensity": 4}}, "spec.restart")
        assert await states(box) == [S.CANCELLED, S.RUNNING]
        await patch({"triggers": []}, "spec.triggers")
        assert await states(box) == [S.CANCELLED, S.CANCELLED]
        await box.advance(minutes=5)
        assert await states(box) == [S.CANCELLED, S.CANCELLED]
        await patch({"triggers": [{"id": "r", "resident": {}, "input": {"x": 1}}]}, "spec.triggers")
        assert (await states(box))[-1] is S.RUNNING
        assert stage.inputs[-1] == {"place": "sea", "x": 1}
        await patch({"triggers": [{"id": "r", "resident": {}, "disabled": True}]}, "spec.triggers")
        assert (await states(box))[-1] is S.CANCELLED
    assert stage.most == 1


async def test_cancelled_by_hand_a_permanent_one_begins_anew_at_once(stage):
    async with Box(made(stage, restart=Restart(intensity=1))) as box:
        for count in range(1, 5):
            last = (await box.executions("watch"))[-1]
            await box.services.executions.cancel(last.id, reason="", request=Request(method="t"))
            await box.settle()
            assert await states(box) == [*[S.CANCELLED] * count, S.RUNNING]
        assert (await box.agent("watch")).state is AgentState.ACTIVE


async def test_a_resident_that_sleeps_leaves_memory_and_wakes(stage):
    ticks = []

    @agent(id="sleeper", triggers=[resident()])
    async def sleeper(ctx: Context, tick: int = 0):
        ticks.append(tick)
        await ctx.sleep(hours=1)
        ctx.continue_as_new({"tick": tick + 1})

    async with Box(sleeper) as box:
        found = await box.executions("sleeper")
        assert [one.state for one in found] == [S.WAITING]
        await box.restart()
        assert [one.state for one in await box.executions("sleeper")] == [S.WAITING]
        await box.advance(hours=3)
        # Each is run once to its sleep, and once more from its journal.
        assert ticks == [0, 0, 1, 1, 2, 2, 3]
        _, status = await box.services.status.of("sleeper")
        assert status.restarts == 0
        await box.command("pause", "sleeper")
        await box.advance(hours=2)
        assert [one.state for one in await box.executions("sleeper")] == [*[S.SUCCEEDED] * 3, S.CANCELLED]
        await box.command("resume", "sleeper")
        assert ticks[-1] == 0


async def test_a_pause_that_is_taken_back_while_it_ends_leaves_one(stage):
    release = asyncio.Event()
    alive = []

    @agent(id="slow", triggers=[resident()])
    async def slow(ctx: Context):
        alive.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            await release.wait()
            alive.pop()

    async with Box(slow) as box:
        await box.command("pause", "slow")
        await box.command("resume", "slow")
        assert len(alive) == 1
        release.set()
        await box.settle()
        found = [one.state for one in await box.executions("slow")]
        assert found == [S.CANCELLED, S.RUNNING]
        release.clear()
        assert len(alive) == 1
        release.set()


async def test_a_thousand_that_crash_at_once_come_back(stage):
    down = asyncio.Event()

    def one(number):
        @agent(id=f"r{number}", triggers=[resident()])
        async def body(ctx: Context):
            await down.wait()
            raise ValueError("all at once")

        return body

    async with Box(*(one(number) for number in range(1000))) as box:
        down.set()
        await box.settle()
        down.clear()
        await box.advance(1)
        found = await box.executions()
        assert sum(one.state is S.FAILED for one in found) == 1000
        assert sum(one.state is S.RUNNING for one in found) == 1000
