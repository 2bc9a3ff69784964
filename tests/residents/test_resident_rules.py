"""What follows the end of a resident's run, over its whole grid."""

import itertools

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError, ExecutionState, Occupancy
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.resident import Following, Wish, begins_anew, beside, following, resident_verdict
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.domain.verdict import DRAINED, Verdict

S, W, F, M = ExecutionState, Wish, Following, RestartMode
ENDS = (S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.CANCELLED)
ABNORMAL = (S.FAILED, S.TIMED_OUT)


def expected(wish, mode, state, error, draining):
    """The rules once more, in the words of semantics.md."""
    if wish is W.NONE:
        return F.NOTHING
    if draining:
        return F.LATER
    if wish is W.ANEW or error == "runtime_restarted":
        return F.AT_ONCE
    if mode is M.TEMPORARY or (mode is M.TRANSIENT and state not in ABNORMAL):
        return F.DONE
    return F.AT_ONCE if state is S.CANCELLED else F.RESTART


@pytest.mark.parametrize(
    ("wish", "mode", "state", "error", "draining"),
    list(itertools.product(W, M, ENDS, ("", "ValueError", "runtime_restarted"), (False, True))),
)
def test_what_follows_an_end(wish, mode, state, error, draining):
    assert following(wish, mode, state, error, draining=draining) is expected(
        wish, mode, state, error, draining
    )


def test_what_would_hand_another_execution_back_ends_a_resident():
    lost = ExecutionError(type="worker_lost", message="killed")
    assert resident_verdict(Verdict(ExecutionEvent.INTERRUPT, lost, unclean=True)) == Verdict(
        ExecutionEvent.FAIL, lost, counts=True
    )
    assert resident_verdict(Verdict(ExecutionEvent.INTERRUPT, DRAINED)) == Verdict(
        ExecutionEvent.CANCELLED, DRAINED
    )
    assert resident_verdict(Verdict(ExecutionEvent.WAIT, lost)).event is ExecutionEvent.FAIL
    for kept in (
        Verdict(ExecutionEvent.WAIT),
        Verdict(ExecutionEvent.SUCCEED),
        Verdict(ExecutionEvent.FAIL, lost),
    ):
        assert resident_verdict(kept) is kept


@pytest.mark.parametrize(
    ("state", "started", "left"),
    [
        (None, False, (2, 1, 3)),
        (S.RUNNING, True, (1, 1, 3)),
        (S.WAITING, True, (1, 1, 3)),
        (S.QUEUED, True, (2, 0, 3)),
        (S.QUEUED, False, (2, 1, 2)),
    ],
)
def test_a_resident_takes_no_place(state, started, left):
    taken = Occupancy(running=2, requeued=1, queued=3)
    assert beside(taken, state, started=started) == Occupancy(*left)


def spec(**more):
    given = {
        "program": {"python": {"entrypoint": "m:f"}},
        "triggers": [{"id": "r", "resident": {}}],
        **more,
    }
    return AgentSpec.parse(given, field="spec")


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({}, False),
        ({"restart": {"intensity": 3}}, False),
        (
            {
                "triggers": [
                    {"id": "r", "resident": {}},
                    {"id": "w", "schedule": {"interval": {"every": "5s"}}},
                ]
            },
            False,
        ),
        ({"input": {"a": 1}}, True),
        ({"program": {"python": {"entrypoint": "m:g"}}}, True),
        ({"triggers": [{"id": "r", "resident": {}, "input": {"b": 2}}]}, True),
        ({"execution": {"cancel_grace": "3s"}}, True),
        ({"isolation": "ISOLATION_POOL"}, True),
    ],
)
def test_which_changes_begin_it_anew(change, anew):
    assert begins_anew(spec(), spec(**change)) is anew


def test_a_disabled_trigger_makes_no_resident():
    assert spec(triggers=[{"id": "r", "resident": {}, "disabled": True}]).resident is None
    assert spec().resident.id == "r"


def test_a_policy_that_can_never_give_up_is_refused(guard_of):
    with pytest.raises(InvalidArgument) as refused:
        guard_of({"restart": {"intensity": 10, "initial_backoff": "10s"}})
    assert [one.field for one in refused.value.violations] == ["agent.spec.restart.intensity"]


def test_an_agent_has_one_resident_trigger_at_most(guard_of):
    with pytest.raises(InvalidArgument) as refused:
        guard_of({"triggers": [{"id": "a", "resident": {}}, {"id": "b", "resident": {}}]})
    assert [one.field for one in refused.value.violations] == ["agent.spec.triggers[1].resident"]
    assert "at most one" in refused.value.message
