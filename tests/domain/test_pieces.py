"""Counted runs of nominal times, taken apart: against lists of the times themselves."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.schedule.catch_up import Passed
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.pieces import cut, up_to, without
from nightcrew.domain.spec.trigger import Schedule

START = datetime(2026, 5, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAN = compile_schedule(Schedule.parse({"interval": {"every": 60}}))


def at(number):
    return START + number * MINUTE


def run(first, last):
    return Passed(at(first), at(last), last - first + 1)


def times(pieces):
    """The nominal times that pieces cover, each of which must count just those."""
    found = []
    for one in pieces:
        inner = list(PLAN.between(one.first - timedelta(microseconds=1), one.last))
        assert (inner[0], inner[-1], len(inner)) == (one.first, one.last, one.count)
        found += inner
    return found


@given(
    first=st.integers(0, 12),
    length=st.integers(1, 12),
    spans=st.lists(st.tuples(st.integers(-3, 25), st.integers(0, 6)), max_size=5),
)
def test_what_is_left_is_what_lies_in_no_span(first, length, spans):
    whole = run(first, first + length - 1)
    taken = [(at(begin), at(begin + width)) for begin, width in spans]
    expected = [
        at(n) for n in range(first, first + length) if not any(b <= n <= b + width for b, width in spans)
    ]
    assert times(without(PLAN, whole, taken)) == expected


@pytest.mark.parametrize("length", range(1, 7))
def test_cutting_one_time_out_of_a_row_leaves_the_others(length):
    row = fire(0, length - 1, length)
    for n in range(length):
        pieces = cut(PLAN, row, at(n))
        assert [one for one in range(length) if one != n] == [
            m
            for piece in pieces
            for m in range(length)
            if piece.nominal_time <= at(m) <= piece.last_nominal_time
        ]
        assert sum(piece.count for piece in pieces) == length - 1
        assert {(piece.outcome, piece.reason, piece.execution_id) for piece in pieces} <= {
            (row.outcome, row.reason, "")
        }


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize("n", range(11))
def test_a_row_of_an_earlier_schedule_keeps_its_count(count, n):
    """It counted other times between its ends: all of them stay accounted for."""
    pieces = cut(PLAN, fire(0, 10, count), at(n))
    own = 1 if n in {0, 10} else 0
    assert sum(one.count for one in pieces) == count - own
    assert all(one.count >= 1 and one.nominal_time <= one.last_nominal_time for one in pieces)
    assert not any(one.nominal_time <= at(n) <= one.last_nominal_time for one in pieces)
    assert all(a.last_nominal_time < b.nominal_time for a, b in pairwise(pieces))


def fire(first, last, count):
    return Fire(
        agent_id="a",
        trigger_id="cron",
        nominal_time=at(first),
        last_nominal_time=at(last),
        actual_time=at(99),
        outcome=FireOutcome.NOT_ACTIVE,
        reason="asleep",
        count=count,
    )


@pytest.mark.parametrize("n", range(9))
def test_a_row_up_to_a_moment_has_the_times_up_to_it(n):
    for moment in (at(n), at(n) + MINUTE / 2):
        left = up_to(PLAN, fire(0, 9, 10), moment)
        assert (left.nominal_time, left.last_nominal_time, left.count) == (at(0), at(n), n + 1)


@pytest.mark.parametrize("schedule", [PLAN, None])
@pytest.mark.parametrize("n", range(10))
def test_of_another_schedules_row_a_share_is_left(schedule, n):
    left = up_to(schedule, fire(0, 10, 50), at(n))
    assert left.last_nominal_time == at(n)
    assert left.count == max(1, 5 * n)
