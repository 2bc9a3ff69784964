"""Backfills: past times run after all, in order, in free places only, once each, by their own policy."""

import pytest
from tests.keepers.support.filling import GATES, Filling, active_for, quick, slow, three, unbounded

from nightcrew.domain.backfill import BackfillState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.testing.box import Box


async def test_times_of_inactivity_are_run_after_all_in_order():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await active_for(it, 6)
        assert await it.ledger() == [(1, 6, "NOT_ACTIVE")]
        begun = await it.begin(2, 4)
        assert (begun.state, begun.total, begun.started) == (BackfillState.RUNNING, 3, 0)
        assert await it.figures(begun) == ("SUCCEEDED", 3, 0, 3)
        assert await it.ledger() == [
            (1, 1, "NOT_ACTIVE"),
            *[(n, n, "STARTED") for n in (2, 3, 4)],
            (5, 6, "NOT_ACTIVE"),
        ]
        runs = [one for one in await box.executions() if one.trigger.kind is TriggerKind.BACKFILL]
        assert [one.trigger.trigger_id for one in runs] == ["interval"] * 3
        assert await it.runs(ExecutionState.SUCCEEDED) == [2, 3, 4]
        assert runs[0].result == '"KIND_BACKFILL 00:02"'
        rows = [one for one in await box.fires() if one.outcome is FireOutcome.STARTED]
        assert [one.execution_id for one in rows] == [one.id for one in runs]


async def test_what_has_an_execution_is_counted_and_not_run_again():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await it.command(AgentEvent.START)
        await box.advance(minutes=4)
        begun = await it.begin(-3, 4)
        assert await it.figures(begun) == ("SUCCEEDED", 4, 4, 8)
        assert await it.runs() == [-3, -2, -1, 0]
        again = await it.begin(-3, 4)
        assert await it.figures(again) == ("SUCCEEDED", 0, 8, 8)
        assert len(await box.executions()) == 8


async def test_a_range_without_times_succeeds_at_once():
    async with Box(quick) as box:
        it = Filling(box, "quick")
        await active_for(it, 1)
        assert await it.figures(await it.begin(0.2, 0.8)) == ("SUCCEEDED", 0, 0, 0)


async def test_it_feeds_only_free_places_and_people_come_first():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        by_hand = await box.trigger("slow")
        begun = await it.begin(1, 3)
        assert await it.figures(begun) == ("RUNNING", 0, 0, 3)
        GATES[by_hand.id].set()
        await box.settle()
        assert await it.figures(begun) == ("RUNNING", 1, 0, 3)
        assert await it.runs(ExecutionState.RUNNING) == [1]
        waiting = await box.trigger("slow")
        await it.finish()
        assert (await box.execution(waiting.id)).state is ExecutionState.RUNNING
        assert await it.figures(begun) == ("RUNNING", 1, 0, 3)
        await it.finish()
        await it.finish()
        assert await it.figures(begun) == ("SUCCEEDED", 3, 0, 3)
        await it.finish()
        assert await it.runs(ExecutionState.SUCCEEDED) == [1, 2, 3]


async def test_as_many_as_there_are_places():
    async with Box(three) as box:
        it = Filling(box, "three")
        await active_for(it, 9)
        begun = await it.begin(1, 7)
        assert await it.runs(ExecutionState.RUNNING) == [1, 2, 3]
        await it.finish(2)
        assert await it.runs(ExecutionState.RUNNING) == [3, 4, 5]
        assert await it.figures(begun) == ("RUNNING", 5, 0, 7)
        await it.command(AgentEvent.STOP)


async def test_an_agent_without_a_bound_gets_a_hundred_at_once():
    async with Box(unbounded) as box:
        it = Filling(box, "unbounded")
        await active_for(it, 1)
        await it.begin(-200, 0)
        assert len(await it.runs(ExecutionState.RUNNING)) == 100
        await it.finish(30)
        assert len(await it.runs(ExecutionState.RUNNING)) == 100
        await it.command(AgentEvent.STOP)


@pytest.mark.parametrize(
    ("overlap", "started", "outcomes"),
    [
        ("SKIP", [-9, -8, -7], {-6: "SKIPPED_OVERLAP", 0: "SKIPPED_OVERLAP"}),
        ("BUFFER_ONE", [-9, -8, -7, -6], {-6: "BUFFERED", -5: "SKIPPED_OVERLAP", 0: "SKIPPED_OVERLAP"}),
        ("CANCEL_OTHER", [-2, -1, 0], {-9: "SKIPPED_OVERLAP", -3: "SKIPPED_OVERLAP", 0: "STARTED"}),
        ("TERMINATE_OTHER", [-2, -1, 0], {-9: "SKIPPED_OVERLAP", 0: "STARTED"}),
    ],
)
async def test_its_own_policy_decides(overlap, started, outcomes):
    async with Box(three) as box:
        it = Filling(box, "three")
        await active_for(it, 0)
        begun = await it.begin(-9, 0, overlap)
        assert await it.figures(begun) == ("SUCCEEDED", len(started), 0, 10)
        assert (
            await it.now(begun)
        ).reason == f"{10 - len(started)} of 10 times were left out by its policy {overlap}"
        assert await it.runs() == started
        rows = {first: outcome for first, _, outcome in await it.ledger()}
        assert {minute: rows[minute] for minute in outcomes} == outcomes
        assert len(rows) == 10
        await it.command(AgentEvent.STOP)


async def test_what_its_policy_leaves_out_keeps_its_row():
    async with Box(slow) as box:
        it = Filling(box, "slow")
        await active_for(it, 5)
        await it.begin(1, 5, "SKIP")
        assert await it.ledger() == [(1, 1, "STARTED"), (2, 5, "NOT_ACTIVE")]
        await it.command(AgentEvent.STOP)
