"""The verdict on an attempt over its grid: every end, everything asked, attempts left or not, near the deadline or not."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.domain.retry import ResolvedRetry
from nightcrew.domain.verdict import TIMEOUT, TOTAL_TIMEOUT, Asked, End, decide, interruption

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = ResolvedRetry(max_attempts=3, initial_backoff=timedelta(seconds=10), jitter=False)
ERROR = ExecutionError(type="ValueError", message="no")
DEADLINES = {"none": None, "far": NOW + timedelta(hours=1), "before the retry": NOW + timedelta(seconds=10)}


def run(*, attempt=1, deadline=None, unclean=0):
    return Execution(
        id="e",
        agent_id="a",
        agent_generation=1,
        state=ExecutionState.RUNNING,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
        create_time=NOW,
        attempt=attempt,
        deadline=deadline,
        unclean=unclean,
    )


def judged(
    end, asked, *, error=ERROR, attempt=1, deadline=None, unclean=0, random=0.5, policy=POLICY, **rest
):
    execution = run(attempt=attempt, deadline=deadline, unclean=unclean)
    return decide(execution, end, asked, error=error, policy=policy, now=NOW, random=random, **rest)


def expected(end, asked, *, again):
    """The event, from semantics.md, in the order of its sentences."""
    if end in {End.RETURNED, End.CONTINUED}:
        return ExecutionEvent.SUCCEED  # what it did has happened
    if end is End.SUSPENDED and asked is not Asked.DEADLINE:
        return ExecutionEvent.WAIT
    if end is End.PARKED and asked not in {Asked.DEADLINE, Asked.CANCEL}:
        return ExecutionEvent.WAIT
    if asked is Asked.CANCEL:
        return ExecutionEvent.CANCELLED
    if end is End.NOT_LOADED:
        return ExecutionEvent.FAIL
    if asked is Asked.DRAIN:
        return ExecutionEvent.INTERRUPT
    if asked is Asked.DEADLINE:
        return ExecutionEvent.TIME_OUT
    if end is End.INTERRUPTED and asked is Asked.NOTHING:
        return ExecutionEvent.INTERRUPT
    if again and end is not End.ABANDONED:
        return ExecutionEvent.RETRY_LATER
    return ExecutionEvent.TIME_OUT if asked in {Asked.TIME_OUT, Asked.SILENT} else ExecutionEvent.FAIL


@pytest.mark.parametrize("deadline", DEADLINES)
@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
@pytest.mark.parametrize(("end", "asked"), list(product(End, Asked)))
def test_the_whole_grid(end, asked, attempt, deadline):
    again = attempt < 3 and deadline != "before the retry"
    verdict = judged(end, asked, attempt=attempt, deadline=DEADLINES[deadline])
    assert verdict.event is expected(end, asked, again=again)
    following = step(ExecutionState.RUNNING, verdict.event).state  # the table takes every verdict
    assert (verdict.next_attempt_time is not None) is (following is ExecutionState.RETRYING)
    failed = following in {ExecutionState.FAILED, ExecutionState.TIMED_OUT}
    assert verdict.counts is failed
    no_fault = {ExecutionState.SUCCEEDED, ExecutionState.CANCELLED}
    assert (verdict.error is None) is (
        following in no_fault or (verdict.event is ExecutionEvent.WAIT and end is not End.PARKED)
    )
    faults = {End.NOT_LOADED: "program_load", End.ABANDONED: "unkillable"}
    drained = asked is Asked.DRAIN and end is End.ABANDONED
    assert verdict.agent_fault == ("" if drained else faults.get(end, ""))
    assert verdict.unclean is (end is End.INTERRUPTED and asked is Asked.NOTHING)


def test_the_waits_between_attempts():
    for attempt, seconds in ((1, 10), (2, 20)):
        assert judged(End.RAISED, Asked.NOTHING, attempt=attempt).next_attempt_time == NOW + timedelta(
            seconds=seconds
        )
    jittery = ResolvedRetry(max_attempts=3, initial_backoff=timedelta(seconds=10), jitter=True)
    verdict = judged(End.RAISED, Asked.NOTHING, random=0.25, policy=jittery)
    assert verdict.next_attempt_time == NOW + timedelta(seconds=2.5)


def test_what_is_not_retryable_ends_at_once():
    for error in (
        ExecutionError(type="ValueError", message="", retryable=False),
        ExecutionError(type="NonRetryable", message=""),
        ExecutionError(type="result_not_json", message=""),
    ):
        verdict = judged(End.RAISED, Asked.NOTHING, error=error)
        assert (verdict.event, verdict.error) == (ExecutionEvent.FAIL, error)


def test_the_errors_say_what_happened():
    assert judged(End.RAISED, Asked.NOTHING, attempt=3).error is ERROR
    late = judged(End.CANCELLED, Asked.TIME_OUT, attempt=3).error
    assert (late.type, late.message) == (TIMEOUT, "the attempt outran its timeout")
    assert "killed" in judged(End.INTERRUPTED, Asked.TIME_OUT, attempt=3).error.message
    assert judged(End.CANCELLED, Asked.DEADLINE).error.type == TOTAL_TIMEOUT
    assert judged(End.INTERRUPTED, Asked.DRAIN).error.type == "drained"
    assert judged(End.RAISED, Asked.NOTHING, error=None).error.type == "raised"


def test_a_drain_counts_nothing_however_often_it_interrupts():
    verdict = judged(End.INTERRUPTED, Asked.DRAIN, unclean=4)
    assert (verdict.event, verdict.unclean, verdict.counts) == (ExecutionEvent.INTERRUPT, False, False)


@pytest.mark.parametrize("unclean", range(6))
def test_interruptions_in_a_row_end_in_a_crash_loop(unclean):
    error = ExecutionError(type="worker_lost", message="signal 9")
    for verdict in (
        interruption(run(unclean=unclean), error),
        judged(End.INTERRUPTED, Asked.NOTHING, error=error, unclean=unclean),
    ):
        if unclean < 4:
            assert (verdict.event, verdict.error, verdict.unclean) == (ExecutionEvent.INTERRUPT, error, True)
            assert not verdict.counts
        else:
            assert verdict.event is ExecutionEvent.FAIL
            assert verdict.error.type == "crash_loop"
            assert f"interrupted {unclean + 1} times in a row" in verdict.error.message
            assert "signal 9" in verdict.error.message
            assert verdict.counts


@pytest.mark.parametrize(("rest", "wait"), [(0.0, 10), (9.0, 10), (11.0, 11), (3600.0, 3600)])
def test_whom_it_asked_may_want_a_longer_rest(rest, wait):
    verdict = judged(End.RAISED, Asked.NOTHING, rest=rest)
    assert verdict.next_attempt_time == NOW + timedelta(seconds=wait)
    late = judged(End.RAISED, Asked.NOTHING, rest=rest, deadline=NOW + timedelta(seconds=wait))
    assert late.event is ExecutionEvent.FAIL
