"""The real clock, and the manual one that all tests stand on."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.system.clock import SystemClock
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def test_the_system_clock_reads_the_machines_clocks():
    clock = SystemClock()
    before, now, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.tzinfo is UTC
    low, middle, high = time.monotonic(), clock.monotonic(), time.monotonic()
    assert low <= middle <= high


async def test_timers_of_the_system_clock_fire_once_or_not_at_all():
    clock = SystemClock()
    fired = []
    done = asyncio.Event()
    clock.call_later(0.001, lambda: fired.append("called off")).cancel()
    clock.call_later(0.02, done.set)
    clock.call_later(0.001, lambda: fired.append("soon"))
    clock.call_later(-1, lambda: fired.append("at once"))
    await asyncio.wait_for(done.wait(), 5)
    assert fired == ["at once", "soon"]
    await clock.sleep(0)


async def test_time_stands_still_until_it_is_moved():
    clock = ManualClock(START)
    await clock.settle()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    await clock.advance(90.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90.5), 90.5)


async def test_timers_fire_in_order_each_at_its_own_time():
    clock = ManualClock(START)
    fired = []

    def note(name):
        return lambda: fired.append((name, clock.monotonic()))

    clock.call_later(3, note("c"))
    clock.call_later(1, note("a"))
    clock.call_later(1, note("b"))
    clock.call_later(5, note("later"))
    clock.call_later(2, note("called off")).cancel()
    await clock.advance(4)
    assert fired == [("a", 1.0), ("b", 1.0), ("c", 3.0)]
    assert clock.monotonic() == 4.0
    assert clock.pending == 1
    assert clock.next_deadline == 5.0


async def test_what_a_timer_sets_off_happens_before_time_goes_on():
    clock = ManualClock()
    seen = []

    async def ticker():
        while len(seen) < 5:
            await clock.sleep(1.5)
            await asyncio.sleep(0)
            seen.append(clock.monotonic())

    task = asyncio.create_task(ticker())
    await clock.advance(60)
    assert seen == [1.5, 3.0, 4.5, 6.0, 7.5]
    await task


async def test_a_timer_of_no_time_fires_without_moving_and_can_be_called_off_before():
    clock = ManualClock()
    fired = []
    clock.call_later(0, lambda: fired.append("zero"))
    clock.call_later(-5, lambda: fired.append("past"))
    clock.call_later(0, lambda: fired.append("no")).cancel()
    assert fired == []
    await clock.settle()
    assert fired == ["zero", "past"]
    await clock.sleep(0)


async def test_one_timer_can_call_off_another_of_the_same_moment():
    clock = ManualClock()
    fired = []
    timers = []

    def first():
        fired.append("first")
        timers[0].cancel()

    clock.call_later(1, first)
    timers.append(clock.call_later(1, lambda: fired.append("second")))
    await clock.advance(1)
    assert fired == ["first"]


async def test_leaping_goes_from_deadline_to_deadline():
    clock = ManualClock()
    fired = []
    clock.call_later(10, lambda: fired.append(10))
    clock.call_later(3600, lambda: fired.append(3600))
    assert await clock.leap_to_next()
    assert (fired, clock.monotonic()) == ([10], 10.0)
    assert await clock.leap_to_next()
    assert (fired, clock.monotonic()) == ([10, 3600], 3600.0)
    assert not await clock.leap_to_next()
    assert clock.monotonic() == 3600.0


async def test_run_until_idle_says_how_long_it_took_and_finds_what_ticks_for_ever():
    clock = ManualClock()
    clock.call_later(5, lambda: clock.call_later(7, lambda: None))
    assert await clock.run_until_idle() == 12.0

    def tick():
        clock.call_later(60, tick)

    tick()
    with pytest.raises(TimeoutError, match="1 timers still wait after 600 s"):
        await clock.run_until_idle(limit=600)


async def test_a_cancelled_sleep_leaves_no_timer():
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10))
    await clock.settle()
    assert clock.pending == 1
    task.cancel()
    await clock.settle()
    assert task.cancelled()
    assert clock.pending == 0


async def test_the_wall_clock_can_jump_alone():
    clock = ManualClock(START)
    await clock.advance(10)
    clock.shift_wall(-3600)
    assert clock.now() == START + timedelta(seconds=10 - 3600)
    assert clock.monotonic() == 10.0


async def test_several_tasks_may_settle_and_move_the_clock():
    clock = ManualClock()
    fired = []
    for second in range(1, 6):
        clock.call_later(second, lambda: fired.append(clock.monotonic()))
    await asyncio.gather(clock.advance(3), clock.settle(), clock.advance(5), clock.settle())
    assert fired == [1, 2, 3, 4, 5]
    assert clock.monotonic() == 5


async def test_settle_tells_of_a_loop_that_spins():
    clock = ManualClock()
    stop = False

    async def spin():
        while not stop:
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="something spins"):
        await clock.settle()
    stop = True
    await task


async def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        await ManualClock().advance(-1)
    with pytest.raises(ValueError, match="must have a zone"):
        ManualClock(datetime(2026, 1, 1))


def test_settle_works_on_a_loop_that_hides_its_queue():
    uvloop = pytest.importorskip("uvloop")

    async def main():
        clock = ManualClock()
        seen = []
        clock.call_later(5, lambda: seen.append(clock.monotonic()))
        await clock.advance(9)
        return seen

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == [5.0]
