"""The rules of durable work can fail: each finds what it is for, and a good history breaks none."""

from dataclasses import replace

import pytest
from tests.harness.durable_rules import DURABLE
from tests.harness.history import Entered, EventRow, ExecutionRow, History, Signalled, StepRow, Wanted


def execution(id_, agent_id, **more):
    return ExecutionRow(id=id_, agent_id=agent_id, **{"state": "STATE_SUCCEEDED", **more})


def step(execution_id, name, **more):
    return StepRow(
        execution_id=execution_id, name=name, **{"kind": "step", "state": "STATE_SUCCEEDED", **more}
    )


def good():
    """One of each: steps, signals, a call, a chain, a webhook, a retry, a command."""
    woken = {"kind": "KIND_EVENT"}
    return History(
        executions=[
            execution("s", "stepper", result={"marks": ["b"]}),
            execution("a", "asker", result={"got": [1, 2]}),
            execution("p", "parent"),
            execution("c", "child", kind="KIND_CALL", cause="p"),
            execution("o", "order", event_sequence=1, **woken),
            execution("h", "shipped", event_sequence=2, **woken),
            execution("u", "audit", event_sequence=3, **woken),
            execution("w", "hook", kind="KIND_WEBHOOK", result="d"),
            execution("f", "broken", state="STATE_FAILED"),
            execution("r", "broken", state="STATE_FAILED", kind="KIND_RETRY", cause="f"),
        ],
        events=[
            EventRow(sequence=1, type="soak.order", id="one"),
            EventRow(sequence=2, type="soak.shipped", execution_id="o"),
            EventRow(sequence=3, type="nightcrew.execution.succeeded", agent_id="shipped"),
        ],
        steps=[step("s", "first", result="b"), step("p", "child", kind="call", awaited="c")],
        entered=[Entered(execution_id="s", step="first", mark=mark) for mark in "ab"],
        signalled=[Signalled(execution_id="a", payloads=[1, 2])],
        published=[Wanted(id="one", answers=frozenset({"1"})), Wanted(id="never answered")],
        delivered=[Wanted(id="d", answers=frozenset({"w"}))],
        retried=[Wanted(id="f", answers=frozenset({"r"}))],
        commanded={"victim": "STATE_PAUSED"},
        agents={"victim": "STATE_PAUSED"},
    )


def changed(field, index, **changes):
    def change(history):
        rows = list(getattr(history, field))
        rows[index] = replace(rows[index], **changes)
        return replace(history, **{field: rows})

    return change


def without(field, index):
    return lambda one: replace(
        one, **{field: [row for at, row in enumerate(getattr(one, field)) if at != index]}
    )


def more(field, row):
    return lambda one: replace(one, **{field: [*getattr(one, field), row]})


def found(history):
    return [f"{rule.__name__}: {breach}" for rule in DURABLE for breach in rule(history)]


def test_a_good_history_breaks_no_rule():
    assert found(good()) == []


AGAIN = Entered(execution_id="s", step="first", mark="z")
BAD = {
    "a step that ran again": (more("entered", AGAIN), "first of s ran again"),
    "a result that no step wrote": (changed("steps", 0, result="q"), "first of s has the result 'q'"),
    "a result that is not the journal's": (
        changed("executions", 0, result={"marks": ["a"]}),
        "tells of ['a']",
    ),
    "a step told twice": (changed("executions", 0, result={"marks": ["b", "b"]}), "tells of a step twice"),
    "a lost signal": (changed("executions", 1, result={"got": [1]}), "was sent [1, 2]"),
    "a doubled signal": (changed("executions", 1, result={"got": [1, 1, 2]}), "was sent [1, 2]"),
    "signals out of order": (changed("executions", 1, result={"got": [2, 1]}), "was sent [1, 2]"),
    "a signal that nobody got": (without("executions", 1), "it is nothing"),
    "a call that made two": (
        more("executions", execution("c2", "child", kind="KIND_CALL", cause="p")),
        "child c2 was called by p",
    ),
    "a call whose child is gone": (without("executions", 3), "which does not exist"),
    "a call of another": (changed("executions", 3, cause="s"), "which is s's"),
    "a child of two": (
        more("steps", step("s", "child", kind="call", awaited="c")),
        "c is the child of 2 calls",
    ),
    "an event that woke nobody": (without("executions", 4), "the event 1 has 0 executions of order"),
    "an event that woke twice": (
        more("executions", execution("h2", "shipped", kind="KIND_EVENT", event_sequence=2)),
        "the event 2 has 2 executions of shipped",
    ),
    "an outcome that nobody audited": (without("executions", 6), "the event 3 has 0 executions of audit"),
    "an event for nothing": (changed("executions", 6, event_sequence=9), "that are not for it: [9]"),
    "a publication that came twice": (
        more("events", EventRow(sequence=4, type="soak.shipped", execution_id="o")),
        "order o has published 2 times",
    ),
    "an event that is gone": (without("events", 0), "the event one was told ['1']"),
    "an event that is there twice": (
        more("events", EventRow(sequence=4, type="soak.order", id="one")),
        "the log has ['1', '4']",
    ),
    "a delivery that is gone": (without("executions", 7), "the delivery d was told ['w'], there are []"),
    "a delivery that ran twice": (
        more("executions", execution("w2", "hook", kind="KIND_WEBHOOK", result="d")),
        "the delivery d was told",
    ),
    "a retry that ran twice": (
        more("executions", execution("r2", "broken", kind="KIND_RETRY", cause="f")),
        "the retry of f was told ['r']",
    ),
    "a retry of nobody": (changed("executions", 9, cause="x"), "nobody asked for the retry of x"),
    "a command that was lost": (
        lambda one: replace(one, agents={"victim": "STATE_ACTIVE"}),
        "victim was told STATE_PAUSED",
    ),
    "a step without an end": (changed("steps", 0, state="STATE_WAITING"), "first of s, which is"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found(name):
    spoil, expected = BAD[name]
    assert any(expected in one for one in found(spoil(good()))), found(spoil(good()))


def test_every_rule_was_seen_to_fail():
    seen = {one.partition(":")[0] for spoil, _ in BAD.values() for one in found(spoil(good()))}
    assert seen == {rule.__name__ for rule in DURABLE}
