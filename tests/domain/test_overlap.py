"""Overlap decisions: the conformance cases, and what holds over the whole grid."""

import json
import sys
from itertools import product
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.domain.support.conformance import COPIES, SHARED, cases

from nightcrew.domain.execution import TriggerKind
from nightcrew.domain.overlap import Decision, decide, effective_concurrency, effective_overlap
from nightcrew.domain.spec.policy import OverlapPolicy

CASES = cases("overlap.json")
POLICIES = [policy for policy in OverlapPolicy if policy is not OverlapPolicy.UNSPECIFIED]


def policy_of(case):
    return OverlapPolicy(f"OVERLAP_POLICY_{case['policy']}")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conformance(case):
    found = decide(
        policy_of(case),
        running=case["running"],
        waiting=case.get("waiting", 0),
        max_concurrency=case["max_concurrency"],
        max_backlog=case.get("max_backlog", 1000),
        buffered=case["buffered"],
        due=case["due"],
    )
    assert found == Decision(
        start=tuple(case["start"]),
        keep=tuple(case["keep"]),
        skipped=tuple(case["skipped"]),
        dropped=tuple(case.get("dropped", ())),
        cancel=case.get("cancel", False),
        terminate=case.get("terminate", False),
    )


@pytest.mark.parametrize("name", ["overlap.json", "schedules.json", "supervision.json", "webhooks.json"])
def test_our_copies_of_the_cases_are_the_shared_ones(name):
    if not (SHARED / name).exists():
        pytest.skip("the shared cases are not on this machine")
    assert json.loads((COPIES / name).read_text()) == cases(name)


GRID = list(product(POLICIES, range(3), range(2), range(2), range(2), range(4), range(4), range(3), range(4)))


def test_over_the_whole_grid_nothing_is_lost_or_doubled_and_no_bound_is_passed():
    for policy, running, waiting, others, others_buffered, bound, backlog, old, new in GRID:
        buffered, due = list(range(old)), list(range(10, 10 + new))
        found = decide(
            policy,
            running=running,
            waiting=waiting,
            others_running=others,
            others_buffered=others_buffered,
            max_concurrency=bound,
            max_backlog=backlog,
            buffered=buffered,
            due=due,
        )
        given = buffered + due
        parts = [*found.start, *found.keep, *found.skipped, *found.dropped]
        assert sorted(parts) == given
        for part in (found.start, found.keep, found.skipped, found.dropped):
            assert list(part) == sorted(part)
        taken = running + waiting + others + others_buffered
        if bound:
            assert len(found.start) <= max(0, bound - taken)
        else:
            assert not found.keep
        replacing = policy in {OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER}
        # Work that was accepted falls away only where a newer one replaces it.
        if not replacing or not due:
            assert set(buffered) <= {*found.start, *found.keep}
            assert not found.cancel
            assert not found.terminate
        if replacing and due:
            assert due[-1] in {*found.start, *found.keep}
            ended = found.cancel or found.terminate
            assert ended == (not found.start and running + waiting > 0)
            assert found.cancel == (ended and policy is OverlapPolicy.CANCEL_OTHER)
        assert not (found.dropped and policy not in {OverlapPolicy.BUFFER_ALL, OverlapPolicy.ALLOW})
        assert buffered == list(range(old))
        assert due == list(range(10, 10 + new))


@pytest.mark.parametrize(
    ("policy", "given", "expected"),
    [
        # A lowered bound drops nothing that was accepted.
        (
            OverlapPolicy.BUFFER_ALL,
            {"running": 1, "max_backlog": 1, "buffered": [1, 2], "due": [3]},
            Decision(keep=(1, 2), dropped=(3,)),
        ),
        (
            OverlapPolicy.BUFFER_ONE,
            {"running": 1, "buffered": [1, 2], "due": [3]},
            Decision(keep=(1, 2), skipped=(3,)),
        ),
        # No bound of the backlog.
        (
            OverlapPolicy.BUFFER_ALL,
            {"running": 1, "max_backlog": 0, "due": list(range(2000))},
            Decision(keep=tuple(range(2000))),
        ),
        (
            OverlapPolicy.ALLOW,
            {"running": 2, "max_concurrency": 2, "max_backlog": 1, "due": [3, 5]},
            Decision(keep=(3,), dropped=(5,)),
        ),
        # Other triggers' runs and backlog count, and are never cancelled.
        (OverlapPolicy.SKIP, {"others_running": 1, "due": [3]}, Decision(skipped=(3,))),
        (OverlapPolicy.SKIP, {"others_buffered": 1, "due": [3]}, Decision(skipped=(3,))),
        (OverlapPolicy.CANCEL_OTHER, {"others_running": 1, "due": [3]}, Decision(keep=(3,))),
        (
            OverlapPolicy.TERMINATE_OTHER,
            {"running": 1, "others_running": 1, "max_concurrency": 2, "due": [3]},
            Decision(keep=(3,), terminate=True),
        ),
        (
            OverlapPolicy.BUFFER_ALL,
            {"others_running": 1, "others_buffered": 2, "max_backlog": 3, "due": [3, 5]},
            Decision(keep=(3,), dropped=(5,)),
        ),
        (
            OverlapPolicy.CANCEL_OTHER,
            {"max_concurrency": 2, "due": [3, 5, 7]},
            Decision(start=(5, 7), skipped=(3,)),
        ),
        # A place that became free asks with nothing due: nothing may fall away.
        (OverlapPolicy.CANCEL_OTHER, {"running": 1, "buffered": [1]}, Decision(keep=(1,))),
        (OverlapPolicy.CANCEL_OTHER, {"buffered": [1]}, Decision(start=(1,))),
    ],
)
def test_cases_of_our_own(policy, given, expected):
    standard = {"running": 0, "max_concurrency": 1, "max_backlog": 1000, "buffered": [], "due": []}
    assert decide(policy, **{**standard, **given}) == expected


def test_an_unspecified_policy_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="effective"):
        decide(OverlapPolicy.UNSPECIFIED, running=0, max_concurrency=1, max_backlog=0, buffered=[], due=[1])


def test_effective_overlap_over_its_grid():
    for agent, trigger, kind in product(OverlapPolicy, OverlapPolicy, TriggerKind):
        found = effective_overlap(agent, trigger, kind)
        default = OverlapPolicy.SKIP if kind is TriggerKind.SCHEDULE else OverlapPolicy.BUFFER_ALL
        if trigger is not OverlapPolicy.UNSPECIFIED:
            assert found is trigger
        elif kind is TriggerKind.BACKFILL:
            assert found is OverlapPolicy.BUFFER_ALL
        else:
            assert found is (default if agent is OverlapPolicy.UNSPECIFIED else agent)


@pytest.mark.parametrize("policy", POLICIES)
def test_effective_concurrency(policy):
    assert effective_concurrency(None, policy) == (0 if policy is OverlapPolicy.ALLOW else 1)
    assert [effective_concurrency(bound, policy) for bound in (0, 1, 7)] == [0, 1, 7]
