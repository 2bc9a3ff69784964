"""The checker of histories can fail: each rule finds what it is for, and a good history breaks none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.harness.history import Asked, Effect, EventRow, ExecutionRow, FireRow, History, Ticking, Watched
from tests.harness.history_rules import RULES, breaches

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STEPS = {
    "queued": "STATE_QUEUED",
    "started": "STATE_RUNNING",
    "retrying": "STATE_RETRYING",
    "succeeded": "STATE_SUCCEEDED",
    "failed": "STATE_FAILED",
}


def second(count):
    return NOON + timedelta(seconds=count)


def log(*told):
    """Events from `(execution, agent, step)`."""
    return [
        EventRow(
            sequence=number,
            type=f"nightcrew.execution.{step}",
            agent_id=agent,
            execution_id=execution,
            state=STEPS[step],
        )
        for number, (execution, agent, step) in enumerate(told, 1)
    ]


def good():
    """A request, one that was interrupted and tried again, one whose answer was lost, and a ticking agent."""
    told = [("e1", "work", "queued"), ("e1", "work", "started"), ("e1", "work", "succeeded")]
    told += [("e2", "work", step) for step in ("queued", "started", "queued", "started", "retrying")]
    told += [("e2", "work", step) for step in ("queued", "started", "succeeded")]
    told += [("e3", "work", "queued"), ("e3", "work", "started"), ("e3", "work", "failed")]
    told += [("t1", "tick", "queued"), ("t1", "tick", "started"), ("t1", "tick", "succeeded")]
    ends = {"agent_id": "work", "state": "STATE_SUCCEEDED"}
    return History(
        executions=[
            ExecutionRow(id="e1", request="r1", result={"mark": "a"}, **ends),
            ExecutionRow(id="e2", request="r2", result={"mark": "c"}, attempt=2, interruptions=1, **ends),
            ExecutionRow(id="e3", agent_id="work", request="r3", state="STATE_FAILED"),
            ExecutionRow(
                id="t1",
                agent_id="tick",
                state="STATE_SUCCEEDED",
                kind="KIND_SCHEDULE",
                trigger_id="interval",
                nominal_time=second(1),
            ),
        ],
        events=log(*told),
        fires=[
            FireRow(
                agent_id="tick",
                trigger_id="interval",
                first=second(1),
                last=second(1),
                outcome="OUTCOME_STARTED",
                execution_id="t1",
            ),
            FireRow(
                agent_id="tick",
                trigger_id="interval",
                first=second(2),
                last=second(4),
                outcome="OUTCOME_MISSED_CATCH_UP",
                count=3,
            ),
        ],
        asked=[
            Asked(request_id="r1", agent_id="work", execution_id="e1"),
            Asked(request_id="r1", agent_id="work", execution_id="e1"),
            Asked(request_id="r2", agent_id="work", execution_id="e2"),
            Asked(request_id="r3", agent_id="work"),
            Asked(request_id="r4", agent_id="work"),
        ],
        effects=[
            Effect(execution_id="e1", mark="a"),
            *(Effect(execution_id="e2", mark=one) for one in "bc"),
        ],
        ticking=[
            Ticking(agent_id="tick", trigger_id="interval", every=1, start=second(0.5), end=second(4.5))
        ],
        watched=[
            Watched(name="all", sequences=range(3, len(told) + 1), after=2, up_to=len(told)),
            Watched(
                name="tick",
                sequences=range(len(told) - 2, len(told) + 1),
                up_to=len(told),
                agents=frozenset({"tick"}),
            ),
        ],
        effectful=frozenset({"work"}),
        max_attempts={"work": 3},
    )


def changed(history, field, index, **changes):
    rows = list(getattr(history, field))
    rows[index] = replace(rows[index], **changes)
    return replace(history, **{field: rows})


def without(history, field, index):
    rows = list(getattr(history, field))
    del rows[index]
    return replace(history, **{field: rows})


def twice(history, field, index, **changes):
    rows = list(getattr(history, field))
    return replace(history, **{field: [*rows, replace(rows[index], **changes)]})


def retold(history, *steps):
    """The history with another way of e1, which stands first."""
    rest = [(one.execution_id, one.agent_id, one.type.rpartition(".")[2]) for one in history.events[3:]]
    return replace(history, events=log(*[("e1", "work", step) for step in steps], *rest), watched=[])


def test_a_good_history_breaks_no_rule():
    assert breaches(good()) == []


BAD = {
    "an answer whose execution is gone": (
        lambda one: changed(one, "asked", 0, execution_id="e9"),
        "answered_work_is_there: work was answered e9",
    ),
    "an answer that is another's execution": (
        lambda one: changed(one, "asked", 2, execution_id="e1"),
        "answered_work_is_there: r2 of work was answered e1",
    ),
    "a refusal that made one": (
        lambda one: changed(one, "asked", 3, refused=True),
        "answered_work_is_there: r3 of work was refused",
    ),
    "a request with two executions": (
        lambda one: changed(one, "executions", 1, request="r1"),
        "a_request_makes_one_execution: the request r1 made 2 executions",
    ),
    "an execution that nobody asked for": (
        lambda one: changed(one, "executions", 2, request="r9"),
        "a_request_makes_one_execution: nobody asked for the request r9",
    ),
    "two answers to one request": (
        lambda one: changed(one, "asked", 1, execution_id="e2"),
        "a_request_makes_one_execution: the request r1 was answered",
    ),
    "an execution that did not end": (
        lambda one: changed(one, "executions", 0, state="STATE_RUNNING"),
        "every_execution_ends: work e1 is STATE_RUNNING",
    ),
    "a crash loop that was none": (
        lambda one: changed(one, "executions", 2, error_type="crash_loop"),
        "every_execution_ends: work e3 is a crash_loop",
    ),
    "too many attempts": (
        lambda one: replace(one, max_attempts={}),
        "every_execution_ends: work e2 made 2 attempts",
    ),
    "two ends": (
        lambda one: retold(one, "queued", "started", "succeeded", "succeeded"),
        "events_tell_each_step_once: work e1 went from STATE_SUCCEEDED to STATE_SUCCEEDED",
    ),
    "work after the end": (
        lambda one: retold(one, "queued", "started", "succeeded", "started", "succeeded"),
        "events_tell_each_step_once: work e1 went from STATE_SUCCEEDED to STATE_RUNNING",
    ),
    "a start that was not queued": (
        lambda one: retold(one, "started", "succeeded"),
        "events_tell_each_step_once: work e1 went from nothing to STATE_RUNNING",
    ),
    "an end without its event": (
        lambda one: retold(one, "queued", "started"),
        "events_tell_each_step_once: work e1 is STATE_SUCCEEDED, its events tell QUEUED → RUNNING",
    ),
    "an interruption that was counted as an attempt": (
        lambda one: changed(one, "executions", 1, attempt=3),
        "events_tell_each_step_once: work e2 counts 3 attempts, its events tell 2",
    ),
    "an interruption that was not counted": (
        lambda one: changed(one, "executions", 1, interruptions=0),
        "events_tell_each_step_once: work e2 counts 0 interruptions",
    ),
    "events of nothing": (
        lambda one: without(one, "executions", 0),
        "events_tell_each_step_once: events tell of e1",
    ),
    "a hole in the log": (
        lambda one: replace(without(one, "events", 3), watched=[]),
        "the_log_has_no_holes: 5 follows 3",
    ),
    "a result that no run wrote": (
        lambda one: changed(one, "executions", 0, result={"mark": "z"}),
        "results_are_of_real_runs: work e1 has the result",
    ),
    "a failure with a result": (
        lambda one: changed(one, "executions", 2, result=1),
        "results_are_of_real_runs: work e3 is STATE_FAILED and has the result 1",
    ),
    "a run that nobody started": (
        lambda one: twice(one, "effects", 0, mark="y"),
        "results_are_of_real_runs: work e1 was started 1 times and wrote 2 times",
    ),
    "a run for nothing": (
        lambda one: twice(one, "effects", 0, execution_id="e9"),
        "results_are_of_real_runs: a program ran for e9",
    ),
    "two executions of one fire": (
        lambda one: twice(one, "executions", 3, id="t2"),
        "a_fire_has_one_execution: tick/interval has 2 executions",
    ),
    "a fire whose execution is gone": (
        lambda one: changed(one, "fires", 0, execution_id="t9"),
        "a_fire_has_one_execution: the fire tick/interval",
    ),
    "a fire that names another's execution": (
        lambda one: changed(one, "executions", 3, nominal_time=second(3)),
        "a_fire_has_one_execution: the fire tick/interval",
    ),
    "an execution without its fire": (
        lambda one: without(one, "fires", 0),
        "a_fire_has_one_execution: tick t1",
    ),
    "a fire that was left in the buffer": (
        lambda one: changed(one, "fires", 0, outcome="OUTCOME_BUFFERED"),
        "is BUFFERED although everything has ended",
    ),
    "a start without an execution": (
        lambda one: changed(one, "fires", 0, execution_id=""),
        "is STARTED without an execution",
    ),
    "a lost fire": (
        lambda one: changed(one, "fires", 1, last=second(3), count=2),
        "no_fire_is_lost_or_doubled: tick/interval: 2026-01-01 12:00:04+00:00 is lost",
    ),
    "a doubled fire": (
        lambda one: changed(one, "fires", 1, first=second(1), count=4),
        "no_fire_is_lost_or_doubled: tick/interval: 2026-01-01 12:00:01+00:00 has 2 outcomes",
    ),
    "a count that is wrong": (
        lambda one: changed(one, "fires", 1, count=2),
        "counts 2, it covers 3",
    ),
    "a time between the times": (
        lambda one: changed(one, "fires", 1, last=second(4.25)),
        "is no time of its schedule",
    ),
    "a window without a time": (
        lambda one: changed(one, "ticking", 0, end=second(0.6)),
        "no time lies in its window",
    ),
    "a watcher that missed one": (
        lambda one: changed(one, "watched", 0, sequences=[3, *range(5, 18)]),
        "watchers_see_everything_once: all missed 1 of 15, the first [4]",
    ),
    "a watcher that saw one twice": (
        lambda one: changed(one, "watched", 0, sequences=[3, 3, *range(4, 18)]),
        "watchers_see_everything_once: all saw 1 twice, the first [3]",
    ),
    "a watcher that saw what was not for it": (
        lambda one: changed(one, "watched", 1, sequences=[1, 15, 16, 17]),
        "watchers_see_everything_once: tick saw 1 that are not for it, the first [1]",
    ),
    "a watcher whose order was wrong": (
        lambda one: changed(one, "watched", 0, sequences=[4, 3, *range(5, 18)]),
        "watchers_see_everything_once: all saw events out of order",
    ),
    "a watcher that was told of a gap": (
        lambda one: changed(one, "watched", 0, gaps=1),
        "watchers_see_everything_once: all was told of 1 gaps",
    ),
    "a watcher that had nothing to see": (
        lambda one: changed(one, "watched", 1, agents=frozenset({"none"}), sequences=[]),
        "watchers_see_everything_once: tick had nothing to see",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found(name):
    spoil, expected = BAD[name]
    found = breaches(spoil(good()))
    assert any(expected in one for one in found), found


def test_every_rule_was_seen_to_fail():
    rules = {rule.__name__ for rule in RULES}
    found = {one.partition(":")[0] for spoil, _ in BAD.values() for one in breaches(spoil(good()))}
    assert found == rules
