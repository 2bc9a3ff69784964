"""Lags: a full backlog refuses no event; the trigger is given what it missed, in order, once, also after a restart."""

import pytest
from tests.keepers.support.posting import BY_TEST, GATES, Post, quick, slow

from nightcrew.domain.agent import AgentState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.testing.box import Box


@pytest.fixture(autouse=True)
def gates():
    GATES.clear()


async def test_what_a_full_backlog_had_no_room_for_is_given_as_room_appears():
    async with Box(slow, quick) as box:
        post = Post(box)
        await post.publish(*range(10))
        assert await post.seen("quick") == list(range(10))
        assert await post.seen() == [0, 1, 2, 3]
        assert len(await post.lags()) == 1
        await post.publish(10)  # whoever comes now waits behind them
        await post.release(0)
        assert await post.seen() == [0, 1, 2, 3, 4]
        await post.release(*range(11))
        assert await post.seen() == list(range(11))
        assert await post.lags() == []
        assert await post.results("slow") == list(range(11))
        await post.publish(11)
        await post.release(11)
        assert await post.results("slow") == list(range(12))
        assert await box.fires() == []


async def test_a_lag_is_made_up_for_after_a_restart(tmp_path):
    async with Box(slow, folder=tmp_path) as box:
        await Post(box).publish(*range(10))
        clock = box.clock
    GATES.clear()
    async with Box(slow, folder=tmp_path, clock=clock) as box:
        post = Post(box)
        assert len(await post.lags()) == 1
        await post.publish(10)
        await post.release(*range(11))
        assert await post.seen() == list(range(11))
        assert await post.lags() == []


async def test_a_held_agents_events_wait_behind_its_backlog_too():
    async with Box(slow) as box:
        post = Post(box)
        await post.command(AgentEvent.PAUSE)
        await post.publish(*range(6))
        assert [len(await post.seen()), len(await post.lags())] == [4, 1]
        await post.release(*range(6))
        assert len(await post.seen()) == 4
        await post.command(AgentEvent.RESUME)
        assert await post.seen() == list(range(6))
        assert await post.lags() == []


async def test_a_stop_drops_what_waits_and_the_ledger_counts_it():
    async with Box(slow) as box:
        post = Post(box)
        await post.publish(*range(10))
        await post.command(AgentEvent.STOP, reason="enough")
        await post.release(*range(10))
        assert (await box.agent("slow")).state is AgentState.STOPPED
        assert await post.fires() == [("BUFFER_DROPPED", 6, "enough")]
        assert await post.lags() == []
        await post.command(AgentEvent.START)
        await post.publish(11)
        assert (await post.seen())[4:] == [11]


async def test_an_edit_leaves_what_matched_before_and_keeps_the_order():
    async with Box(slow) as box:
        post = Post(box)
        await post.publish(*range(6))
        await post.change("slow", triggers=[{"id": "event", "event": {"types": ["order", "bill"]}}])
        await post.publish(6, kind="bill")
        assert len(await post.lags()) == 2
        await post.release(*range(7))
        assert await post.seen() == list(range(7))
        assert await post.lags() == []


async def test_a_trigger_that_is_taken_away_drops_what_waits():
    async with Box(slow) as box:
        post = Post(box)
        await post.publish(*range(6))
        await post.change("slow", triggers=[])
        assert await post.fires() == [("BUFFER_DROPPED", 2, "the trigger was removed")]
        await post.release(*range(6))
        assert await post.seen() == [0, 1, 2, 3]


async def test_a_larger_backlog_makes_room():
    async with Box(slow) as box:
        post = Post(box)
        await post.publish(*range(8))
        await post.change("slow", execution={"max_backlog": 100})
        assert await post.seen() == list(range(8))
        assert await post.lags() == []


async def test_a_long_lag_is_given_in_many_turns():
    async with Box(slow) as box:
        post = Post(box)
        await post.change("slow", execution={"max_backlog": 50})
        for n in range(0, 1000, 250):
            await post.publish(*range(n, n + 250))
        assert await post.seen() == list(range(51))
        await post.release(*range(1000))
        assert await post.results("slow") == list(range(1000))
        assert await post.lags() == []


async def test_an_agent_that_is_deleted_takes_its_lag_along():
    async with Box(slow) as box:
        post = Post(box)
        await post.publish(*range(6))
        await box.services.agents.delete("slow", etag="", force=True, request=BY_TEST)
        await post.release(*range(6))
        await box.settle()
        assert await box.engine.store.write(lambda tx: tx.lags.agents()) == []
