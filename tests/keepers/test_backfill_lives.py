"""Backfills through cancels, stops, pauses, edits and restarts; what they tell, and what is refused."""

import asyncio
from uuid import uuid4

import pytest
from tests.keepers.support.filling import Filling, active_for, quick, slow

from nightcrew.domain.agent import AgentState
from nightcrew.domain.backfill import BackfillState
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery
from nightcrew.services.once import Request
from nightcrew.testing.box import Box


async def test_cancelled_it_starts_nothing_more_and_what_runs_goes_on():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        begun = await it.begin(1, 5)
        cancel = box.services.backfills.cancel
        ended = await cancel(begun.id, reason="enough", request=Request(method="test"))
        assert (ended.state, ended.reason, ended.started) == (BackfillState.CANCELLED, "enough", 1)
        assert ended.end_time == box.clock.now()
        assert await cancel(begun.id, reason="again", request=Request(method="test")) == ended
        assert await it.runs(ExecutionState.RUNNING) == [1]
        await it.finish()
        assert await it.runs(ExecutionState.SUCCEEDED) == [1]
        assert await it.runs() == [1]
        assert await it.ledger() == [(1, 1, "STARTED"), (2, 5, "NOT_ACTIVE")]


async def test_it_stops_with_its_agent():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        begun = await it.begin(1, 5)
        await it.command(AgentEvent.STOP)
        now = await it.now(begun)
        assert (now.state, now.reason) == (BackfillState.CANCELLED, "the agent was stopped")
        assert await it.runs(ExecutionState.CANCELLED) == [1]
        await it.command(AgentEvent.START)
        assert await it.runs() == [1]


async def test_a_paused_agent_is_backfilled_and_one_in_error_waits():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        await it.command(AgentEvent.PAUSE)
        begun = await it.begin(1, 3)
        assert await it.runs(ExecutionState.RUNNING) == [1]
        await it.command(AgentEvent.FAIL)
        await it.finish()
        assert await it.figures(begun) == ("RUNNING", 1, 0, 3)
        await it.command(AgentEvent.RESUME)
        assert await it.runs(ExecutionState.RUNNING) == [2]
        await it.finish(9)
        await it.finish(9)
        assert await it.figures(begun) == ("SUCCEEDED", 3, 0, 3)


async def test_times_of_a_pause_that_is_not_over_are_counted_round_it():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await it.command(AgentEvent.START)
        await it.command(AgentEvent.PAUSE)
        await box.advance(minutes=5)
        await it.begin(2, 3)
        await box.advance(minutes=1)
        await it.command(AgentEvent.RESUME)
        assert await it.ledger() == [
            (1, 1, "NOT_ACTIVE"),
            (2, 2, "STARTED"),
            (3, 3, "STARTED"),
            (4, 6, "NOT_ACTIVE"),
        ]


async def test_it_survives_restarts(tmp_path):
    async with Box(slow, folder=tmp_path) as box:
        it, clock = Filling(box, "slow"), box.clock
        await active_for(it, 5)
        begun = await it.begin(1, 4)
        await it.finish()
        assert await it.runs(ExecutionState.RUNNING) == [2]
    for _ in range(3):
        async with Box(slow, folder=tmp_path, clock=clock) as box:
            it.box = box
            await it.finish()
    async with Box(slow, folder=tmp_path, clock=clock) as box:
        it.box = box
        await it.finish()
        assert await it.figures(begun) == ("SUCCEEDED", 4, 0, 4)
        assert await it.runs(ExecutionState.SUCCEEDED) == [1, 2, 3, 4]


async def test_it_runs_on_the_generation_it_began_with():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        begun = await it.begin(1, 3)
        spec = (await box.agent("slow")).spec.to_json()
        spec["triggers"][0]["schedule"]["interval"]["every"] = "3600s"
        spec["triggers"][0]["input"] = {"new": True}
        changed = await box.services.agents.update(
            "slow", {"spec": spec}, paths=["spec"], etag="", request=Request(method="test")
        )
        assert changed.generation == 2
        await it.finish()
        await it.command(AgentEvent.PAUSE)
        await it.finish()
        assert await it.runs() == [1, 2, 3]
        assert {(one.agent_generation, one.input) for one in await box.executions()} == {(1, "{}")}
        await it.finish()
        assert await it.figures(begun) == ("SUCCEEDED", 3, 0, 3)
        new = await it.begin(-60, 0)
        assert (await it.now(new)).total == 2


async def test_progress_and_outcome_are_in_the_event_log():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await active_for(it, 1)
        begun = await it.begin(-3, 0)
        told = await it.told()
        assert [kind for kind, _ in told] == ["started", "progress", "progress", "progress", "ended"]
        assert {data["id"] for _, data in told} == {begun.id}
        assert [(data["started"], data["state"]) for _, data in told] == [
            (0, "STATE_RUNNING"),
            (1, "STATE_RUNNING"),
            (2, "STATE_RUNNING"),
            (3, "STATE_RUNNING"),
            (4, "STATE_SUCCEEDED"),
        ]


async def test_a_long_one_tells_about_a_hundred_times():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await active_for(it, 1)
        begun = await it.begin(-1199, 0)
        await box.settle()
        assert await it.figures(begun) == ("SUCCEEDED", 1200, 0, 1200)
        assert 100 <= len(await it.told()) <= 102
        assert await it.runs(ExecutionState.SUCCEEDED) == list(range(-1199, 1))


async def test_what_is_wrong_is_refused():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        with pytest.raises(FailedPrecondition) as refused:
            await it.begin(-3, 0)
        assert refused.value.allowed_states == (AgentState.ACTIVE, AgentState.PAUSED)
        await it.command(AgentEvent.START)
        with pytest.raises(InvalidArgument, match="from_time"):
            await it.begin(0, -1)
        with pytest.raises(InvalidArgument, match="90 days"):
            await it.begin(-91 * 1440, 0)
        with pytest.raises(InvalidArgument, match="to_time"):
            await it.begin(-1, 1)
        with pytest.raises(NotFound, match="agent"):
            await it.begin(-1, 0, agent_id="nobody")
        with pytest.raises(NotFound, match="trigger"):
            await it.begin(-1, 0, trigger="nothing")
        for call in (box.services.backfills.get("x"), it.now(type("B", (), {"id": "y"}))):
            with pytest.raises(NotFound, match="backfill"):
                await call
        with pytest.raises(NotFound, match="backfill"):
            await box.services.backfills.cancel("x", reason="", request=Request(method="test"))
        assert (await box.services.backfills.page(ListQuery())).items == []


async def test_a_repeated_request_is_one_backfill():
    async with Box(quick) as box:
        it, request_id = Filling(box, "quick"), str(uuid4())
        await active_for(it, 1)
        begun = await it.begin(-2, 0, request_id=request_id)
        again = await it.begin(-2, 0, request_id=request_id)
        assert (again.id, again.state) == (begun.id, BackfillState.SUCCEEDED)
        with pytest.raises(InvalidArgument, match="request_id"):
            await it.begin(-3, 0, request_id=request_id)


async def test_fires_and_backfills_of_the_same_minute_meet_once():
    """The schedule fires at the very moments that backfills ask for: every one has just one execution."""
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await it.command(AgentEvent.START)
        for minute in range(1, 20):
            await box.clock.advance(60)
            await asyncio.gather(it.begin(minute - 3, minute), it.begin(minute - 1, minute))
        await box.settle()
        runs = [it.minute(one.trigger.nominal_time) for one in await box.executions()]
        assert sorted(runs) == list(range(-2, 20))
        assert [outcome for *_, outcome in await it.ledger()] == ["STARTED"] * 22
