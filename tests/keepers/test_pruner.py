"""What is kept and for how long: events and logs, executions by age and number, and what waits for a lagging trigger."""

from datetime import timedelta

import pytest
from tests.keepers.support.posting import GATES, Post, quick, slow

from nightcrew.config.settings import Settings
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.retention import RetentionSpec
from nightcrew.keepers import pruner as pruning
from nightcrew.testing.box import Box

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def gates():
    GATES.clear()


async def events(box):
    return (await box.services.events.page(ListQuery(page_size=1000))).items


def keep(monkeypatch, **wish):
    """As the table [retention] of nightcrew.toml says it."""
    field = Settings.model_fields["retention"]
    monkeypatch.setattr(field, "default", RetentionSpec(**wish))


async def test_ages_are_as_they_are_set(monkeypatch):
    keep(monkeypatch, executions="2d", events="3h")
    async with Box(quick, patience=3600) as box:
        post = Post(box)
        await prune(box)
        (first,) = await post.publish(1)
        await box.advance(hours=6)
        assert first not in {one.sequence for one in await events(box)}
        assert len(await box.executions()) == 1
        await box.advance(days=2)
        assert await box.executions() == []


async def prune(box):
    """As the pruner does when its time comes."""
    await box.advance(hours=1)


async def test_events_and_logs_are_kept_for_seven_days():
    async with Box(quick, patience=3600) as box:
        post = Post(box)
        await prune(box)
        # Whatever time its publisher gives it: what counts is when it came.
        (old,) = await post.publish(1)
        await prune(box)
        await box.advance(days=6)
        (new,) = await post.publish(2)
        assert {old, new} <= {one.sequence for one in await events(box)}
        await box.advance(days=1, hours=2)
        kept = {one.sequence for one in await events(box)}
        assert old not in kept
        assert new in kept
        assert len(await box.executions()) == 2


async def test_a_watcher_from_before_gets_a_gap():
    async with Box(quick, patience=3600) as box:
        await Post(box).publish(1)
        await prune(box)
        await box.advance(days=8)
        oldest, newest = await box.engine.store.reads.event_bounds()
        assert oldest == newest + 1 > 1
        (sequence,) = await Post(box).publish(2)
        assert sequence == newest + 1


async def test_what_waits_for_a_lagging_trigger_is_told_when_it_is_dropped():
    async with Box(slow, patience=3600) as box:
        post = Post(box)
        await post.publish(*range(10))
        await prune(box)
        await box.advance(days=6)
        await post.publish(10, 11)
        await prune(box)
        assert await post.fires() == []
        await box.advance(days=1, hours=1)
        assert await post.fires() == [("BUFFER_DROPPED", 6, pruning.WAITED)]
        await post.release(*range(12))
        assert await post.seen() == [0, 1, 2, 3, 10, 11]
        assert await post.lags() == []


async def test_executions_are_kept_for_thirty_days_after_their_end():
    async with Box(slow, quick, patience=3600) as box:
        post = Post(box)
        await post.publish(1)  # slow's goes on for all that time
        await box.advance(days=29)
        assert len(await box.executions()) == 2
        await box.advance(days=2)
        assert [one.agent_id for one in await box.executions()] == ["slow"]
        await post.release(1)
        await box.advance(days=29)
        assert len(await box.executions()) == 1
        await box.advance(days=2)
        assert await box.executions() == []


async def test_so_many_executions_of_an_agent_are_kept_and_the_last_hours_always(monkeypatch):
    keep(monkeypatch, executions_per_agent=5)
    monkeypatch.setattr(pruning, "EXECUTIONS", 2)
    async with Box(quick, patience=3600) as box:
        post = Post(box)
        for n in range(4):
            await box.advance(seconds=1)
            await post.publish(n)
        await box.advance(minutes=61)
        for n in range(4, 12):
            await box.advance(seconds=1)
            await post.publish(n)
        await prune(box)
        assert await post.seen("quick") == list(range(4, 12))
        await prune(box)
        assert await post.seen("quick") == list(range(7, 12))


async def test_the_ledger_is_kept_for_ninety_days():
    async with Box(quick, patience=3600) as box:
        post = Post(box)
        await post.change("quick", triggers=[{"id": "cron", "schedule": {"interval": {"every": "86400s"}}}])
        await box.advance(days=100)
        rows = await box.fires("quick")
        assert min(one.nominal_time for one in rows) >= box.clock.now() - 91 * DAY
        assert len(rows) in {90, 91}
