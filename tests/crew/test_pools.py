"""Pools on the real store: places, rates, the line of agents, and what gives places back."""

import asyncio
from datetime import timedelta

import pytest

from nightcrew.agent import Context, SyncContext, agent
from nightcrew.config.settings import default_settings
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.spec.pool import PoolSpec
from nightcrew.testing.box import Box

TWO = PoolSpec(concurrency=2)


def settings(**pools):
    return default_settings().model_copy(update={"pools": pools})


class Gate:
    """Agents that stay in their program until they are let go, and what of them is in it."""

    def __init__(self):
        self.inside = []
        self.most = 0
        self.order = []
        self._let_go = asyncio.Event()

    def agent(self, name, **execution):
        @agent(id=name, **{"max_concurrency": 0, **execution})
        async def work(ctx: Context):  # one program for all of them
            self.inside.append(ctx.agent_id)
            self.order.append(ctx.agent_id)
            self.most = max(self.most, len(self.inside))
            try:
                await self._let_go.wait()
            finally:
                self.inside.remove(ctx.agent_id)

        return work

    def open(self):
        self._let_go.set()

    async def one_out(self, box):
        """Lets what is inside end."""
        self._let_go.set()
        self._let_go = asyncio.Event()
        await box.settle()


@pytest.fixture
def gate():
    return Gate()


async def states(box, agent_id):
    return [one.state.removeprefix("STATE_") for one in await box.executions(agent_id)]


async def test_no_more_are_in_a_pool_than_it_has_places_whoever_they_are(gate):
    agents = [gate.agent(name, pools=["p"]) for name in "abc"]
    async with Box(*agents, settings=settings(p=TWO)) as box:
        for name in "abc" * 3:
            await box.trigger(name)
        assert len(gate.inside) == 2
        while gate.inside:
            await gate.one_out(box)
            assert len(gate.inside) <= 2
        assert gate.most == 2
        assert len(gate.order) == 9
        assert {one.state for one in await box.executions()} == {ExecutionState.SUCCEEDED}


async def test_agents_take_turns(gate):
    agents = [gate.agent(name, pools=["p"]) for name in "abc"]
    async with Box(*agents, settings=settings(p=PoolSpec(concurrency=1))) as box:
        for name in "aaaaabc":
            await box.trigger(name)
        while gate.inside:
            await gate.one_out(box)
        assert "".join(gate.order) == "aabcaaa"


async def test_who_waits_for_one_pool_holds_no_place_in_another_and_blocks_nobody(gate):
    agents = [
        gate.agent("both", pools=["free", "full"]),
        gate.agent("full", pools=["full"]),
        gate.agent("free", pools=["free"]),
        gate.agent("none"),
    ]
    one = PoolSpec(concurrency=1)
    async with Box(*agents, settings=settings(full=one, free=one)) as box:
        await box.trigger("full")
        for _ in range(3):
            await box.trigger("both")
        await box.trigger("free")
        await box.trigger("none")
        assert sorted(gate.inside) == ["free", "full", "none"]
        await gate.one_out(box)
        assert gate.inside == ["both"]
        await gate.one_out(box)
        assert gate.inside == ["both"]


async def test_a_rate_lets_them_in_evenly_and_wakes_by_itself():
    @agent(max_concurrency=0, pools=["p"])
    async def quick():
        return None

    async with Box(quick, settings=settings(p=PoolSpec(rate="60/minute"))) as box:
        begun = box.now
        for _ in range(5):
            await box.trigger("quick")
        await box.advance(seconds=3.5)
        assert len([1 for one in await states(box, "quick") if one == "SUCCEEDED"]) == 4
        await box.advance(seconds=1)
        starts = [(one.start_time - begun).total_seconds() for one in await box.executions("quick")]
        assert starts == [0, 1, 2, 3, 4]


async def test_a_rate_survives_a_restart_and_a_clock_that_was_set_back():
    @agent(max_concurrency=0, pools=["p"])
    async def quick():
        return None

    async with Box(quick, settings=settings(p=PoolSpec(rate="1/hour"))) as box:
        await box.run("quick")
        await box.restart(minutes=1)
        waiting = await box.trigger("quick")
        await box.advance(minutes=58)
        assert (await box.execution(waiting.id)).state is ExecutionState.QUEUED
        await box.advance(minutes=2)
        assert (await box.execution(waiting.id)).state is ExecutionState.SUCCEEDED
        box.clock.shift_wall(-86_400)
        assert (await box.run("quick")).state is ExecutionState.SUCCEEDED
        last = await box.trigger("quick")
        await box.advance(minutes=59)
        assert (await box.execution(last.id)).state is ExecutionState.QUEUED
        await box.advance(minutes=2)
        assert (await box.execution(last.id)).state is ExecutionState.SUCCEEDED


async def test_a_wait_gives_its_place_back_and_takes_another_to_go_on(gate):
    @agent(max_concurrency=0, pools=["p"])
    async def sleeper(ctx: Context):
        await ctx.sleep(days=2)
        return "awake"

    async with Box(
        sleeper, gate.agent("other", pools=["p"]), settings=settings(p=PoolSpec(concurrency=1))
    ) as box:
        asleep = await box.trigger("sleeper")
        assert (await box.execution(asleep.id)).state is ExecutionState.WAITING
        await box.trigger("other")
        assert gate.inside == ["other"]
        await box.advance(days=3)
        assert (await box.execution(asleep.id)).state is ExecutionState.QUEUED
        await gate.one_out(box)
        assert (await box.execution(asleep.id)).result == '"awake"'


async def test_a_retry_gives_its_place_back(gate):
    from nightcrew.agent import Retry

    @agent(max_concurrency=0, pools=["p"], retry=Retry(max_attempts=2, initial_backoff=60, jitter=False))
    async def failing():
        raise OSError("no")

    async with Box(
        failing, gate.agent("other", pools=["p"]), settings=settings(p=PoolSpec(concurrency=1))
    ) as box:
        await box.trigger("failing")
        assert await states(box, "failing") == ["RETRYING"]
        await box.trigger("other")
        assert gate.inside == ["other"]


async def test_a_runtime_that_ended_in_the_middle_has_its_places_back(gate):
    agents = [gate.agent(name, pools=["p"]) for name in "ab"]
    async with Box(*agents, settings=settings(p=TWO)) as box:
        for name in "aabb":
            await box.trigger(name)
        assert len(gate.inside) == 2
        await box.restart()
        assert len(gate.inside) == 2
        while gate.inside:
            await gate.one_out(box)
        assert {one.state for one in await box.executions()} == {ExecutionState.SUCCEEDED}
        assert gate.most == 2


async def test_its_own_places_bound_it_too(gate):
    async with Box(gate.agent("a", pools=["p"], max_concurrency=1), settings=settings(p=TWO)) as box:
        for _ in range(3):
            await box.trigger("a")
        assert len(gate.inside) == 1
        while gate.inside:
            await gate.one_out(box)
        assert len(gate.order) == 3


async def test_a_stop_takes_an_agent_out_of_the_line(gate):
    agents = [gate.agent(name, pools=["p"]) for name in "abc"]
    async with Box(*agents, settings=settings(p=PoolSpec(concurrency=1))) as box:
        for name in "abc":
            await box.trigger(name)
        await box.command("stop", "b")
        await gate.one_out(box)
        assert gate.inside == ["c"]
        await box.command("stop", "c")
        await box.trigger("a")
        assert gate.inside == ["a"]


async def test_a_pause_holds_it_in_the_line_without_holding_others_up(gate):
    agents = [gate.agent(name, pools=["p"]) for name in "ab"]
    async with Box(*agents, settings=settings(p=PoolSpec(concurrency=1))) as box:
        await box.trigger("a")
        await box.trigger("b")
        await box.command("pause", "b")
        await gate.one_out(box)
        assert gate.inside == ["b"]  # people asked for it


async def test_sync_programs_take_places_too():
    @agent(id="sync", max_concurrency=0, pools=["p"])
    def work(ctx: SyncContext):
        return ctx.now().isoformat()

    async with Box(work, settings=settings(p=PoolSpec(concurrency=1, rate="1/minute"))) as box:
        one, two = await box.trigger("sync"), await box.trigger("sync")
        await box.advance(seconds=61)
        first, second = await box.execution(one.id), await box.execution(two.id)
        assert second.start_time - first.start_time == timedelta(minutes=1)


async def test_a_pool_that_is_gone_puts_its_agents_in_error_until_it_is_back(gate, tmp_path):
    made = gate.agent("a", pools=["p"])
    async with Box(made, folder=tmp_path, settings=settings(p=TWO)) as box:
        await box.trigger("a")
        clock = box.clock
    # As one that was made over the API: its file does not name the pool, the store does.
    other = gate.agent("a")
    async with Box(other, folder=tmp_path, clock=clock, settings=settings(p=TWO)) as box:
        from nightcrew.services.once import Request

        await box.services.agents.update(
            "a",
            {"spec": {"execution": {"pools": ["p"]}}},
            paths=["spec.execution.pools"],
            etag="",
            request=Request(method="test"),
        )
        await box.settle()
    async with Box(other, folder=tmp_path, clock=clock) as box:
        found = await box.agent("a")
        assert (found.state, found.state_reason) == (
            AgentState.ERROR,
            "pool_missing: no pool 'p' in nightcrew.toml",
        )
    async with Box(other, folder=tmp_path, clock=clock, settings=settings(p=TWO)) as box:
        assert (await box.agent("a")).state is AgentState.ACTIVE
        assert gate.inside == ["a"]
