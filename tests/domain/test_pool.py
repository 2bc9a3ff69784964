"""Pools: the arithmetic of rates over grids and by hypothesis, and the settings that say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.pool import JUMP, Pool, pay, room
from nightcrew.domain.spec.pool import PoolSpec

SECOND = 1_000_000
DAY = 86_400 * SECOND


def starts(pool, *, arrivals, paid_until=0):
    """When executions start that ask at these moments: each time, or not at all."""
    found = []
    for now in arrivals:
        if room(pool, running=0, paid_until=paid_until, now=now).free:
            paid_until = pay(pool, paid_until=paid_until, now=now)
            found.append(now)
    return found


@pytest.mark.parametrize("running", range(4))
@pytest.mark.parametrize("bound", range(4))
def test_places(bound, running):
    found = room(Pool(name="p", concurrency=bound), running=running, paid_until=0, now=DAY)
    assert found.free is (not bound or running < bound)
    assert found.again is None


@pytest.mark.parametrize(("burst", "at_once"), [(1, 1), (2, 2), (5, 5)])
def test_after_a_rest_so_many_start_at_once_and_then_evenly(burst, at_once):
    pool = Pool(name="p", interval=SECOND, burst=burst)
    arrivals = sorted([DAY] * 10 + [DAY + number * SECOND // 10 for number in range(1, 101)])
    found = starts(pool, arrivals=arrivals)
    assert found[:at_once] == [DAY] * at_once
    assert found[at_once:] == [DAY + number * SECOND for number in range(1, 11)]


def test_it_says_when_the_next_may_start():
    pool = Pool(name="p", interval=10 * SECOND, burst=2)
    paid = pay(pool, paid_until=pay(pool, paid_until=0, now=DAY), now=DAY)
    found = room(pool, running=0, paid_until=paid, now=DAY + SECOND)
    assert (found.free, found.again) == (False, DAY + 10 * SECOND)
    assert room(pool, running=0, paid_until=paid, now=found.again).free
    # A place that is taken is not awaited by the clock.
    full = room(
        Pool(name="p", interval=10 * SECOND, concurrency=1), running=1, paid_until=paid, now=DAY + SECOND
    )
    assert (full.free, full.again) == (False, None)


@given(
    interval=st.integers(1, 90 * SECOND),
    burst=st.integers(1, 20),
    gaps=st.lists(st.integers(0, 30 * SECOND), max_size=200),
    window=st.integers(1, 600 * SECOND),
)
def test_no_window_ever_holds_more_than_its_share_and_the_burst(interval, burst, gaps, window):
    now, arrivals = DAY, []
    for gap in gaps:
        now += gap
        arrivals.append(now)
    found = starts(Pool(name="p", interval=interval, burst=burst), arrivals=arrivals)
    most = -(-window // interval) + burst - 1
    for begin in found:
        assert sum(begin <= one < begin + window for one in found) <= most


@given(
    interval=st.integers(1, 90 * SECOND),
    burst=st.integers(1, 20),
    back=st.integers(JUMP + 1, 365 * DAY),
    taken=st.integers(1, 30),
)
def test_a_clock_that_was_set_back_stops_no_one(interval, burst, back, taken):
    pool, now = Pool(name="p", interval=interval, burst=burst), 400 * DAY
    paid = 0
    for _ in range(min(taken, burst)):
        paid = pay(pool, paid_until=paid, now=now)
    before = now - back
    if paid <= before + burst * interval + JUMP:
        return  # it is no further ahead than an emptied bucket may be
    found = starts(pool, arrivals=[before + number * interval for number in range(10)], paid_until=paid)
    assert len(found) == 10  # one at once, then at its rate


@given(interval=st.integers(1, SECOND), burst=st.integers(1, 20), ahead=st.integers(0, JUMP), rest=st.data())
def test_moments_that_come_out_of_order_never_bring_starts_closer(interval, burst, ahead, rest):
    """Units of work read the clock before they are written: a later one may be written first."""
    pool = Pool(name="p", interval=interval, burst=burst)
    paid = pay(pool, paid_until=0, now=DAY + ahead)
    behind = DAY + rest.draw(st.integers(0, ahead))
    if room(pool, running=0, paid_until=paid, now=behind).free:
        assert pay(pool, paid_until=paid, now=behind) == paid + interval


@pytest.mark.parametrize(
    ("given", "interval", "burst"),
    [
        ({"rate": "60/minute"}, SECOND, 1),
        ({"rate": "1/s"}, SECOND, 1),
        ({"rate": "7 / min"}, 8_571_429, 1),
        ({"rate": "1000/second"}, 1000, 100),
        ({"rate": "10000/second"}, 100, 1000),
        ({"rate": "2/day", "burst": 2}, 43_200 * SECOND, 2),
        ({"rate": "100/h", "burst": 5, "concurrency": 3}, 36 * SECOND, 5),
        ({"concurrency": 8}, 0, 1),
    ],
)
def test_settings_of_a_pool(given, interval, burst):
    pool = PoolSpec.parse(given).pool("p")
    assert (pool.interval, pool.burst, pool.concurrency) == (interval, burst, given.get("concurrency", 0))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, ""),
        ({"rate": ""}, ""),
        ({"concurrency": 0}, ""),
        ({"concurrency": -1}, "concurrency"),
        ({"rate": "0/minute"}, "rate"),
        ({"rate": "60"}, "rate"),
        ({"rate": "60 per minute"}, "rate"),
        ({"rate": "1.5/s"}, "rate"),
        ({"rate": "-1/s"}, "rate"),
        ({"rate": "60/week"}, "rate"),
        ({"rate": "10001/second"}, "rate"),
        ({"rate": 60}, "rate"),
        ({"concurrency": 1, "burst": 2}, ""),
        ({"rate": "1/s", "burst": -1}, "burst"),
        ({"concurrency": 1, "size": 2}, "size"),
    ],
)
def test_settings_that_are_wrong_are_named(given, field):
    with pytest.raises(InvalidArgument) as caught:
        PoolSpec.parse(given, field="pools.p")
    assert [one.field for one in caught.value.violations] == [f"pools.p.{field}".rstrip(".")]
