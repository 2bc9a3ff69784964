"""Time itself is corrected: a clock that is set back or forward, and new time zone data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.agent import agent, at, cron, every
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.services.once import Request
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@agent(triggers=[every(minutes=10)])
async def ten() -> int:
    return 1


@agent(triggers=[cron("0 9 * * *", tz="Europe/Berlin")])
async def nine() -> int:
    return 1


@agent(triggers=[at(START + 20 * MINUTE)])
async def once() -> int:
    return 1


def minutes(time):
    return round((time - START) / MINUTE)


async def ledger(box):
    rows = await box.fires()
    return [
        (minutes(one.nominal_time), minutes(one.last_nominal_time), one.count, str(one.outcome)[8:])
        for one in rows
    ]


def started(*times):
    return [(time, time, 1, "STARTED") for time in times]


async def command(box, event):
    await box.services.agents.command(event, "ten", reason="", request=Request(method="test"))
    await box.settle()


async def test_a_clock_that_is_set_back_fires_nothing_twice_and_goes_on_from_there():
    async with Box(ten) as box:
        await box.advance(minutes=45)
        box.clock.shift_wall(-3600)
        await box.advance(minutes=20)
        assert await ledger(box) == started(-10, 0, 10, 20, 30, 40)
        await box.advance(minutes=60)
        assert await ledger(box) == started(-10, 0, 10, 20, 30, 40, 50, 60)
        assert len(await box.executions()) == 8


async def test_by_less_than_a_minute_nothing_is_begun_anew():
    async with Box(ten) as box:
        await box.advance(minutes=10)
        box.clock.shift_wall(-50)
        await box.advance(minutes=10)
        assert await ledger(box) == started(10)
        await box.advance(seconds=50)
        assert await ledger(box) == started(10, 20)


async def test_what_was_passed_over_ahead_of_now_fires_after_all():
    async with Box(ten) as box:
        await box.advance(minutes=5)
        await command(box, AgentEvent.PAUSE)
        await box.advance(minutes=60)
        await command(box, AgentEvent.RESUME)
        assert await ledger(box) == [(10, 60, 6, "NOT_ACTIVE")]
        box.clock.shift_wall(-35 * 60)
        await box.advance(minutes=45)
        assert await ledger(box) == [(10, 30, 3, "NOT_ACTIVE"), *started(40, 50, 60, 70)]


async def test_what_was_missed_ahead_of_now_fires_after_all():
    async with Box(ten) as box:
        await box.advance(minutes=5)
        box.clock.shift_wall(3600)
        await box.advance(minutes=1)
        assert await ledger(box) == [(10, 50, 5, "MISSED_CATCH_UP"), *started(60)]
        box.clock.shift_wall(-3600)
        await box.advance(minutes=60)
        assert await ledger(box) == started(10, 20, 30, 40, 50, 60)
        assert len(await box.executions()) == 6


async def test_a_date_that_was_exhausted_fires_if_it_was_only_missed():
    async with Box(once) as box:
        await box.advance(minutes=25)
        assert await ledger(box) == started(20)
        box.clock.shift_wall(-600)
        await box.advance(minutes=30)
        assert await ledger(box) == started(20)


async def test_it_is_noticed_at_a_start(tmp_path):
    async with Box(ten, folder=tmp_path) as box:
        await box.advance(minutes=45)
    clock = ManualClock(START + 15 * MINUTE)
    for _ in range(2):
        async with Box(ten, folder=tmp_path, clock=clock) as box:
            await box.advance(minutes=10)
    async with Box(ten, folder=tmp_path, clock=clock) as box:
        await box.advance(minutes=30)
        assert await ledger(box) == started(10, 20, 30, 40, 50, 60)


async def test_agents_that_are_changed_meanwhile_have_their_states_from_now_on():
    """A state that began in a future that is none any more must not swallow the times until then."""
    async with Box(ten) as box:
        await box.advance(minutes=55)
        await command(box, AgentEvent.PAUSE)
        await command(box, AgentEvent.RESUME)
        box.clock.shift_wall(-7200)
        await box.advance(minutes=1)
        assert (await box.agent("ten")).state_time < START
        await box.advance(minutes=70)
        rows = await ledger(box)
        assert rows == started(-60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 40, 50)


@pytest.mark.parametrize(
    ("offset", "fires"),
    [
        # In the data of then Berlin was 3 h ahead of UTC: 09:00 has fired at 06:00Z and comes again at 08:00Z.
        (3 * 3600, [6, 32]),
        (3600, [8, 32]),
    ],
)
async def test_new_time_zone_data_fires_no_local_time_twice(tmp_path, offset, fires):
    async with Box(nine, folder=tmp_path, clock=ManualClock(START)) as box:
        fired = START + timedelta(hours=fires[0])

        def as_of_then(tx):
            cursor = tx.fires.cursor("nine", "cron")
            tx.fires.set_cursor(replace(cursor, cursor=fired, utc_offset=offset, next_time=None))
            tx.set_meta("tzdata", "1999a")

        await box.advance(minutes=1)
        await box.engine.store.write(as_of_then)
    async with Box(nine, folder=tmp_path, clock=ManualClock(fired + MINUTE)) as box:
        assert await box.engine.store.write(lambda tx: tx.meta("tzdata")) not in {None, "", "1999a"}
        await box.advance(hours=30)
        assert [minutes(one.nominal_time) / 60 for one in await box.fires()] == fires[1:]


async def test_next_times_are_computed_anew_with_new_time_zone_data(tmp_path):
    async with Box(nine, folder=tmp_path) as box:
        await box.advance(minutes=1)

        def as_of_then(tx):
            cursor = tx.fires.cursor("nine", "cron")
            tx.fires.set_cursor(replace(cursor, next_time=START + timedelta(hours=20)))
            tx.set_meta("tzdata", "1999a")

        await box.engine.store.write(as_of_then)
        clock = box.clock
    async with Box(nine, folder=tmp_path, clock=clock) as box:
        (cursor,) = (await box.engine.store.reads.cursors(["nine"]))["nine"]
        assert cursor.next_time == START + timedelta(hours=8)
