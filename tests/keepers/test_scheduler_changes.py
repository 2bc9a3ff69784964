"""Schedules whose agents are paused, changed, taken away or broken, in virtual time."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.agent import agent, at, cron, every
from nightcrew.domain.agent import AgentState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
BY_TEST = Request(method="test")


def fired(*triggers, name="digest", seconds=0.0, **options):
    """An agent with these triggers that notes for which times it ran."""
    times = []

    @agent(id=name, triggers=list(triggers), **options)
    async def run(ctx):
        times.append(ctx.trigger.nominal_time)
        if seconds:
            await asyncio.sleep(0)

    run.__name__ = name.replace("-", "_")
    run.times = times
    return run


def seconds_after(times):
    return [round((one - START).total_seconds(), 3) for one in times]


async def command(box, event, name="digest"):
    found = await box.services.agents.command(event, name, reason="", request=BY_TEST)
    await box.settle()
    return found


async def update(box, name="digest", **spec):
    found = await box.services.agents.update(
        name, {"spec": spec}, paths=[f"spec.{one}" for one in spec], etag="", request=BY_TEST
    )
    await box.settle()
    return found


async def ledger(box, name="digest", *, trigger=None):
    """(seconds, outcome, count) of each row, with the last time of a counted one."""
    return [
        (*seconds_after([one.nominal_time]), one.outcome.removeprefix("OUTCOME_"))
        if one.count == 1
        else (
            *seconds_after([one.nominal_time, one.last_nominal_time]),
            one.outcome.removeprefix("OUTCOME_"),
            one.count,
        )
        for one in await box.fires(name)
        if trigger in {None, one.trigger_id}
    ]


def later(box, **outage):
    """A clock that goes on after an outage."""
    return ManualClock(box.clock.now() + timedelta(**outage))


async def outage(tmp_path, *triggers, ran=600, hours=0.0, minutes=0.0, **options):
    """Fires for a while, is down for a while, and is started again; returns what ran before and what since."""
    digest = fired(*triggers, **options)
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(ran)
    before = len(digest.times)
    return digest, before, Box(digest, folder=tmp_path, clock=later(box, hours=hours, minutes=minutes))


@pytest.mark.parametrize("hold", [AgentEvent.PAUSE, AgentEvent.STOP])
async def test_times_that_pass_while_it_is_not_active_are_one_row_and_are_not_caught_up(tmp_path, hold):
    digest = fired(every(minutes=1, catch_up="all"))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=2.5)
        await command(box, hold)
        await box.advance(minutes=10)
        assert seconds_after(digest.times) == [60, 120]
        await command(box, AgentEvent.RESUME if hold is AgentEvent.PAUSE else AgentEvent.START)
        await box.advance(minutes=1)
        assert seconds_after(digest.times) == [60, 120, 780]
        assert await ledger(box) == [
            (60, "STARTED"),
            (120, "STARTED"),
            (180, 720, "NOT_ACTIVE", 10),
            (780, "STARTED"),
        ]


async def test_a_pause_over_an_outage_is_no_outage(tmp_path):
    digest = fired(every(minutes=1, catch_up="all"))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=2.5)
        await command(box, AgentEvent.PAUSE)
    async with Box(digest, folder=tmp_path, clock=later(box, minutes=10)) as box:
        await box.advance(minutes=1)
        assert len(digest.times) == 2
        await command(box, AgentEvent.RESUME)
        await box.advance(minutes=1)
        assert await ledger(box) == [
            (60, "STARTED"),
            (120, "STARTED"),
            (180, 780, "NOT_ACTIVE", 11),
            (840, "STARTED"),
        ]


async def test_pauses_without_a_time_in_them_leave_no_row(tmp_path):
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        for _ in range(3):
            await box.advance(10)
            await command(box, AgentEvent.PAUSE)
            await box.advance(1)
            await command(box, AgentEvent.RESUME)
        await box.advance(60)
        assert await ledger(box) == [(60, "STARTED")]


async def test_a_buffered_fire_is_held_by_a_pause_and_goes_on(tmp_path):
    @agent(triggers=[every(minutes=1, overlap="buffer_all")])
    async def digest():
        await box.clock.sleep(90)

    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=2)
        await command(box, AgentEvent.PAUSE)
        await box.advance(minutes=10)
        assert await ledger(box) == [(60, "STARTED"), (120, "BUFFERED")]
        await command(box, AgentEvent.RESUME)
        assert (await ledger(box))[1] == (120, "STARTED")


async def test_an_update_is_not_retroactive_and_no_old_version_fires_after_it(tmp_path):
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=2)
        every_five = [{"id": "interval", "schedule": {"interval": {"every": "300s", "phase": "30s"}}}]
        await update(box, triggers=every_five)
        await box.advance(minutes=9)
        # Not at 3, 4, 5 min: the old version is gone. Not at 0:30: that was due before the update.
        assert seconds_after(digest.times) == [60, 120, 330, 630]
        assert (await box.agent("digest")).generation == 2


async def test_a_change_of_something_else_leaves_the_schedule_alone(tmp_path):
    digest = fired(every(minutes=1, max_fires=5), every(minutes=7))
    async with Box(digest, folder=tmp_path) as box:
        for number in range(4):
            await box.advance(59)
            await update(box, input={"n": number})
            await box.services.agents.update(
                "digest", {"description": str(number)}, paths=["description"], etag="", request=BY_TEST
            )
            await box.advance(1)
        assert seconds_after(digest.times) == [60, 120, 180, 240]


async def test_changes_between_a_time_and_the_end_of_its_jitter_lose_no_fire(tmp_path):
    digest = fired(every(minutes=1, jitter=50))
    async with Box(digest, folder=tmp_path) as box:
        for number in range(120):
            await box.advance(6)
            await update(box, input={"n": number})
        assert seconds_after(digest.times)[:10] == list(range(60, 601, 60))


async def test_what_has_fired_counts_through_updates(tmp_path):
    digest = fired(every(minutes=1, max_fires=2))

    def changed(**schedule):
        interval = {"id": "interval", "schedule": {"interval": {"every": "60s"}, **schedule}}
        return {"triggers": [interval]}

    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=5)
        assert len(digest.times) == 2
        await update(box, **changed(max_fires=4))  # two more
        await box.advance(minutes=5)
        assert len(digest.times) == 4
        await update(box, **changed(max_fires=5))
        await box.advance(minutes=1)
        disabled = changed(max_fires=9)
        disabled["triggers"][0]["disabled"] = True
        await update(box, **disabled)
        await box.advance(minutes=5)
        assert len(digest.times) == 5
        await update(box, **changed(max_fires=6))
        await box.advance(minutes=5)
        assert len(digest.times) == 6


async def test_a_trigger_that_has_fired_as_often_as_it_may_has_no_times_any_more(tmp_path):
    """Nor while its agent is paused, under the version that says so: what will never come is not missed."""
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=3)
        await command(box, AgentEvent.PAUSE)
        await update(
            box, triggers=[{"id": "interval", "schedule": {"interval": {"every": "60s"}, "max_fires": 2}}]
        )
        await box.advance(minutes=5)
        await command(box, AgentEvent.RESUME)
        await box.advance(minutes=5)
        assert await ledger(box) == [(60, "STARTED"), (120, "STARTED"), (180, "STARTED")]


async def test_a_trigger_that_is_taken_away_never_fires_again(tmp_path):
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=1)
        await update(box, triggers=[])
        await box.advance(minutes=5)
        assert seconds_after(digest.times) == [60]
        assert await ledger(box) == [(60, "STARTED")]  # the ledger stays


async def test_an_agent_that_is_deleted_and_made_again_begins_anew(tmp_path):
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=1.5)
        manifest = box.engine.catalog._given.agents[0].found.definition.manifest
        await box.services.agents.delete("digest", etag="", force=True, request=BY_TEST)
        await box.advance(minutes=1)
        await box.services.agents.create(manifest, request=BY_TEST)
        await command(box, AgentEvent.START)
        await box.advance(minutes=1)
        assert seconds_after(digest.times) == [60, 180]


async def test_a_schedule_that_can_not_be_planned_puts_only_its_agent_in_error(tmp_path):
    good, bad = fired(every(minutes=1), name="good"), fired(cron("* * * * *"), name="bad")
    async with Box(good, bad, folder=tmp_path) as box:
        await box.advance(minutes=1)
    # As tzdata that no longer knows a zone would have it: what was right once can't be planned now.
    with sqlite3.connect(tmp_path / "nightcrew.db") as file:
        file.execute(
            'UPDATE agents SET spec = replace(spec, \'"cron":{\', \'"time_zone":"Mars/Base","cron":{\')'
            " WHERE id = 'bad'"
        )
    file.close()
    async with Box(good, bad, folder=tmp_path, clock=later(box)) as box:
        await box.advance(minutes=3)
        found = await box.agent("bad")
        assert found.state is AgentState.ERROR
        assert found.state_reason.startswith("schedule_error: cron: time_zone: must be a time zone")
        assert len(await ledger(box, "good")) == 4
        assert len(await ledger(box, "bad")) == 1
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_fire_that_can_not_be_written_puts_only_its_agent_in_error(tmp_path):
    """All that are due together are one transaction; one that fails in it keeps nobody from firing on time."""
    good = [fired(every(minutes=1), name=f"good-{number}") for number in range(5)]
    bad = fired(every(minutes=1), name="bad")
    async with Box(bad, *good, folder=tmp_path) as box:
        await box.advance(minutes=1)
    # As an older version would have taken it: an input that no execution may have.
    with sqlite3.connect(tmp_path / "nightcrew.db") as file:
        file.execute(
            "UPDATE agents SET spec = json_set(spec, '$.input', json_object('x', hex(zeroblob(700000))))"
            " WHERE id = 'bad'"
        )
    file.close()
    async with Box(bad, *good, folder=tmp_path, clock=later(box)) as box:
        await box.advance(minutes=3)
        found = await box.agent("bad")
        assert found.state is AgentState.ERROR
        assert found.state_reason.startswith("schedule_error: interval: input: must be at most 1048576 bytes")
        for number in range(5):
            assert await ledger(box, f"good-{number}") == [(60 * n, "STARTED") for n in range(1, 5)]
            runs = await box.executions(f"good-{number}")
            assert [one.start_time for one in runs] == [one.trigger.nominal_time for one in runs]
        assert await ledger(box, "bad") == [(60, "STARTED")]


async def test_a_store_that_fails_for_a_while_silences_nobody(tmp_path, failing):
    fast = fired(every(seconds=1), name="fast", overlap="buffer_all")
    slow = fired(every(seconds=7), name="slow")
    changed = fired(every(seconds=100), name="changed")
    async with Box(fast, slow, changed, folder=tmp_path) as box:
        await box.advance(3)
        async with failing(box.engine.store):
            await box.advance(10)
            box.engine.scheduler._bus.touch_schedules(["changed"])
            await box.advance(10)
        await box.advance(7)
        # It was awake all the while: what was due is late, not missed.
        assert seconds_after(fast.times) == list(range(1, 31))
        assert await ledger(box, "slow") == [
            (7, "STARTED"),
            (14, "SKIPPED_OVERLAP"),
            (21, "SKIPPED_OVERLAP"),
            (28, "STARTED"),
        ]
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_store_that_can_not_be_read_for_a_while_silences_nobody(tmp_path):
    fast, changed = fired(every(seconds=1), name="fast"), fired(every(seconds=100), name="changed")
    async with Box(fast, changed, folder=tmp_path) as box:
        await box.advance(3)
        await box.engine.store._pool.close()
        await update(box, "changed", triggers=[{"schedule": {"interval": {"every": "5s"}}}])
        await box.advance(10)
        await box.engine.store._pool.open()
        await box.advance(7)
        # Who needs no reading fires in time; who was changed is late, not missed.
        assert seconds_after(fast.times) == list(range(1, 21))
        assert await ledger(box, "changed") == [
            (5, "STARTED"),
            (10, "SKIPPED_OVERLAP"),
            (15, "STARTED"),
            (20, "STARTED"),
        ]
        assert all(one.restarts == 0 for one in box.engine.components())


async def test_a_jump_of_the_wall_clock_forward_is_an_outage(tmp_path):
    digest = fired(every(minutes=1))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(90)
        box.clock.shift_wall(600)
        await box.advance(30)  # it looks at the clock every 30 s at least
        assert await ledger(box) == [
            (60, "STARTED"),
            (120, 600, "MISSED_CATCH_UP", 9),
            (660, "STARTED"),
            (720, "SKIPPED_OVERLAP"),  # on time, and due together with what is caught up
        ]


async def test_in_a_drain_nothing_fires_and_the_next_start_catches_up(tmp_path):
    @agent(triggers=[every(minutes=1)])
    async def digest(seconds: float = 0):
        await box.clock.sleep(seconds)

    async with Box(digest, folder=tmp_path) as box:
        await box.trigger("digest", {"seconds": 600.0})
        box.engine.drain(300)
        await box.advance(200)
        assert await box.fires("digest") == []
        await box.advance(150)
        assert box.engine.ending
    async with Box(digest, folder=tmp_path, clock=later(box)) as box:
        rows = await ledger(box)
        assert rows[0][2] == "MISSED_CATCH_UP"


async def test_a_thousand_changes_leave_no_thousand_stale_entries(tmp_path):
    digest = fired(at("2027-01-01T00:00:00Z"))
    async with Box(digest, folder=tmp_path) as box:
        for number in range(1200):
            box.engine.scheduler._push(("digest", "date"), START + timedelta(days=number))
        await update(box, input={"a": 1})
        assert len(box.engine.scheduler._heap) <= 1000
        assert box.engine.scheduler.size == 1
