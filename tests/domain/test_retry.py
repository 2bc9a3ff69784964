"""Retries: who gets another attempt, and how long it waits."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.retry import NEVER_RETRIED, ResolvedRetry, backoff, may_retry, resolve
from nightcrew.domain.spec.policy import RetryPolicy


def seconds(value):
    return timedelta(seconds=value)


def error(kind="ValueError", *, retryable=True):
    return ExecutionError(type=kind, message="no", retryable=retryable)


def test_defaults():
    plain = ResolvedRetry(1, seconds(1), 2.0, seconds(60), True, frozenset())
    assert resolve(None) == resolve(RetryPolicy()) == plain


def test_what_is_set_wins():
    policy = RetryPolicy(
        max_attempts=4,
        initial_backoff=seconds(2),
        backoff_multiplier=3,
        max_backoff=seconds(9),
        jitter=False,
        non_retryable=("KeyError",),
    )
    assert resolve(policy) == ResolvedRetry(4, seconds(2), 3.0, seconds(9), False, frozenset({"KeyError"}))


@pytest.mark.parametrize(
    ("fields", "first", "cap"),
    [
        ({"initial_backoff": seconds(90)}, 90, 90),
        ({"max_backoff": seconds(0.5)}, 0.5, 0.5),
        ({"max_backoff": seconds(0)}, 0, 0),
        ({"initial_backoff": seconds(0)}, 0, 60),
    ],
)
def test_one_bound_alone_moves_the_other_default(fields, first, cap):
    found = resolve(RetryPolicy(**fields))
    assert (found.initial_backoff, found.max_backoff) == (seconds(first), seconds(cap))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"initial_backoff": seconds(-1)}, ["initial_backoff"]),
        ({"max_backoff": seconds(-1)}, ["max_backoff"]),
        ({"initial_backoff": seconds(5), "max_backoff": seconds(4)}, ["max_backoff"]),
        (
            {"initial_backoff": seconds(-1), "non_retryable": ("A", " ")},
            ["initial_backoff", "non_retryable[1]"],
        ),
    ],
)
def test_refused(fields, named):
    with pytest.raises(InvalidArgument) as caught:
        resolve(RetryPolicy(**fields))
    assert [v.field for v in caught.value.violations] == named


def test_waits_grow_to_the_cap():
    policy = resolve(RetryPolicy(jitter=False))
    assert [backoff(policy, n, 0.5) / seconds(1) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("attempt", [1, 2, 500, 10**9])
def test_no_attempt_overflows(attempt):
    policy = resolve(RetryPolicy(backoff_multiplier=100, jitter=False))
    assert seconds(1) <= backoff(policy, attempt, 0.0) <= seconds(60)
    assert backoff(resolve(RetryPolicy(initial_backoff=seconds(0), jitter=False)), attempt, 0.9) == seconds(0)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_full_jitter_is_that_part_of_the_whole(attempt, random):
    whole = backoff(resolve(RetryPolicy(jitter=False)), attempt, random)
    assert backoff(resolve(RetryPolicy()), attempt, random) == seconds(whole.total_seconds() * random)


def test_attempts_are_counted():
    policy = resolve(RetryPolicy(max_attempts=3))
    assert [may_retry(policy, n, error()) for n in range(1, 5)] == [True, True, False, False]
    assert not may_retry(resolve(None), 1, error())


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (error(), True),
        (error("timeout"), True),
        (error("KeyError"), False),
        (error(retryable=False), False),
        *[(error(kind), False) for kind in sorted(NEVER_RETRIED)],
    ],
    ids=lambda value: getattr(value, "type", value),
)
def test_which_errors_end_it_at_once(failure, again):
    policy = resolve(RetryPolicy(max_attempts=3, non_retryable=("KeyError",)))
    assert may_retry(policy, 1, failure) is again
