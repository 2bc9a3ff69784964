"""Schedules that fire, in virtual time: each time once, what an outage missed, what a pause leaves out, what fails alone."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.agent import agent, at, cron, every
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("trigger", "advance", "expected"),
    [
        (cron("*/5 * * * *"), 1200, [300, 600, 900, 1200]),
        (cron("*/20 * * * * *"), 60, [20, 40, 60]),
        (every(seconds=90), 400, [90, 180, 270, 360]),
        (every(seconds=0.1), 0.45, [0.1, 0.2, 0.3, 0.4]),
        (every(minutes=1, phase=7), 200, [7, 67, 127, 187]),
        (at("2026-01-01T00:10:00Z"), 86_400, [600]),
        (every(minutes=1, start="2026-01-01T00:02:00Z", end="2026-01-01T00:04:00Z"), 600, [120, 180]),
        (every(minutes=1, max_fires=3), 600, [60, 120, 180]),
    ],
    ids=["cron", "seconds", "interval", "fast", "phase", "date", "window", "max_fires"],
)
async def test_each_time_fires_once_and_is_in_the_ledger(tmp_path, trigger, advance, expected):
    digest = fired(trigger)
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(advance)
        assert seconds_after(digest.times) == expected
        assert await ledger(box) == [(one, "STARTED") for one in expected]
        rows = await box.executions("digest")
        assert [one.trigger.nominal_time for one in rows] == digest.times
        assert {one.trigger.kind for one in rows} == {TriggerKind.SCHEDULE}
        assert {one.state for one in rows} == {ExecutionState.SUCCEEDED}
        assert [one.execution_id for one in await box.fires("digest")] == [one.id for one in rows]
        # To the microsecond: a fire starts when it is due.
        assert [one.start_time for one in rows] == digest.times


async def test_what_is_exhausted_stays_so_and_its_agent_stays_active(tmp_path):
    digest = fired(at("2026-01-01T00:01:00Z"), every(minutes=1, max_fires=2))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(hours=1)
        assert len(digest.times) == 3
        assert box.engine.scheduler.size == 0
        assert (await box.agent("digest")).state is AgentState.ACTIVE
        _, status = await box.services.status.of("digest")
        assert status.next_fires == []
    async with Box(digest, folder=tmp_path, clock=later(box, hours=1)) as box:
        await box.advance(hours=1)
        assert len(digest.times) == 3


async def test_a_date_that_has_passed_in_a_file_is_exhausted(tmp_path):
    digest = fired(at("2025-12-31T23:59:59Z"))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(hours=1)
        assert digest.times == []
        assert await box.fires("digest") == []
        assert (await box.agent("digest")).state is AgentState.ACTIVE


async def test_triggers_of_one_agent_and_agents_side_by_side(tmp_path):
    one = fired(every(seconds=30), cron("* * * * *"), name="one", overlap="buffer_all")
    two = fired(every(seconds=45), name="two")
    async with Box(one, two, folder=tmp_path) as box:
        await box.advance(180)
        assert await ledger(box, "one", trigger="interval") == [(s, "STARTED") for s in range(30, 181, 30)]
        # Both at once: each has its row, and the second waits for the first.
        assert await ledger(box, "one", trigger="cron") == [(s, "STARTED") for s in (60, 120, 180)]
        assert seconds_after(two.times) == [45, 90, 135, 180]
        _, status = await box.services.status.of("one")
        assert [(fire.trigger_id, *seconds_after([fire.time])) for fire in status.next_fires] == [
            ("interval", 210),
            ("cron", 240),
        ]


async def test_jitter_delays_a_fire_and_never_moves_its_name(tmp_path):
    digest = fired(every(minutes=1, jitter=30))
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=10.5)
        rows = await box.executions("digest")
        late = [(one.start_time - one.trigger.nominal_time).total_seconds() for one in rows]
        assert seconds_after(digest.times) == list(range(60, 601, 60))
        assert all(0 <= one < 30 for one in late)
        assert len(set(late)) == len(late)


async def test_a_fire_that_meets_a_run_is_skipped_by_default(tmp_path):
    @agent(triggers=[every(minutes=5)])
    async def digest():
        await box.clock.sleep(7 * 60)

    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=26)
        # :05 runs till :12, :10 is skipped; :15 runs till :22, :20 is skipped; :25.
        assert await ledger(box) == [
            (300, "STARTED"),
            (600, "SKIPPED_OVERLAP"),
            (900, "STARTED"),
            (1200, "SKIPPED_OVERLAP"),
            (1500, "STARTED"),
        ]


async def test_under_buffer_all_what_is_late_catches_up(tmp_path):
    """semantics.md's example: every 5 min, the first run ends at :17, later runs take 2 min."""
    begun = []

    @agent(triggers=[every(minutes=5, overlap="buffer_all")])
    async def digest():
        begun.append(box.clock.monotonic() / 60)
        await box.clock.sleep(12 * 60 if len(begun) == 1 else 2 * 60)

    async with Box(digest, folder=tmp_path) as box:
        await box.advance(minutes=11)
        assert await ledger(box) == [(300, "STARTED"), (600, "BUFFERED")]
        await box.advance(minutes=15)
        assert begun == [5, 17, 19, 21, 25]
        assert {outcome for _, outcome in await ledger(box)} == {"STARTED"}


async def outage(tmp_path, *triggers, ran=600, hours=0.0, minutes=0.0, **options):
    """Fires for a while, is down for a while, and is started again; returns what ran before and what since."""
    digest = fired(*triggers, **options)
    async with Box(digest, folder=tmp_path) as box:
        await box.advance(ran)
    before = len(digest.times)
    return digest, before, Box(digest, folder=tmp_path, clock=later(box, hours=hours, minutes=minutes))


async def test_after_an_outage_the_latest_is_run_and_the_others_are_one_row(tmp_path):
    digest, before, second = await outage(tmp_path, every(minutes=1), minutes=30.5)
    async with second as box:
        assert before == 10
        assert seconds_after(digest.times[before:]) == [40 * 60]
        await box.advance(30)
        assert seconds_after(digest.times[before:]) == [40 * 60, 41 * 60]
        assert (await ledger(box))[10:] == [
            (11 * 60, 39 * 60, "MISSED_CATCH_UP", 29),
            (40 * 60, "STARTED"),
            (41 * 60, "STARTED"),
        ]
        events = await box.engine.store.reads.events_after(0, limit=1000)
        (missed,) = [one for one in events if one.type == "nightcrew.fire.missed"]
        assert '"count":29' in missed.data


async def test_with_catch_up_none_nothing_is_run_that_was_missed(tmp_path):
    digest, before, second = await outage(tmp_path, every(minutes=1, catch_up="none"), minutes=30.5)
    async with second as box:
        assert digest.times[before:] == []
        assert (await ledger(box))[10:] == [(11 * 60, 40 * 60, "MISSED_CATCH_UP", 30)]
        await box.advance(30)
        assert seconds_after(digest.times[before:]) == [41 * 60]


async def test_with_catch_up_all_everything_in_the_window_is_run_in_order(tmp_path):
    trigger = every(minutes=1, catch_up="all", catch_up_window=15 * 60)
    digest, before, second = await outage(tmp_path, trigger, minutes=30.5)
    async with second as box:
        expected = [minute * 60 for minute in range(26, 41)]
        assert seconds_after(digest.times[before:]) == expected
        rows = await ledger(box)
        assert rows[10] == (11 * 60, 25 * 60, "MISSED_CATCH_UP", 15)
        assert rows[11:] == [(one, "STARTED") for one in expected]


async def test_a_long_outage_of_a_fast_schedule_is_one_row_at_once(tmp_path):
    digest, before, second = await outage(tmp_path, every(seconds=1), ran=5, hours=24 * 300)
    async with second as box:
        assert len(digest.times) == before + 1
        (missed,) = [one for one in await ledger(box) if "MISSED_CATCH_UP" in one]
        # The last but one is caught up, the last is on time.
        assert missed[-1] == 24 * 300 * 3600 - 2


async def test_max_fires_counts_what_is_caught_up(tmp_path):
    trigger = every(minutes=1, catch_up="all", max_fires=13)
    digest, before, second = await outage(tmp_path, trigger, minutes=30)
    async with second as box:
        await box.advance(600)
        assert len(digest.times) == 13
        assert seconds_after(digest.times[before:]) == [660, 720, 780]


async def test_nothing_is_doubled_when_a_runtime_ends_between_fires(tmp_path):
    digest = fired(every(seconds=1), overlap="buffer_all")
    clock = ManualClock(START)
    for _ in range(8):
        async with Box(digest, folder=tmp_path, clock=clock) as box:
            await box.advance(2.5)
        clock = later(box)
    assert seconds_after(digest.times) == list(range(1, 21))
