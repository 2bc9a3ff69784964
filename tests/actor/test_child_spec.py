"""Child specs are checked before anything starts, and each fault names its field."""

import math

import pytest

from nightcrew.actor.child import ChildSpec, check_child, check_children
from nightcrew.actor.component import ComponentKind
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode


async def life(ready):
    ready()


CASES = {
    "id": (ChildSpec("", life), "id", "1 to 200 characters"),
    "slash": (ChildSpec("a/b", life), "id", "is 'a/b'"),
    "space": (ChildSpec("a b", life), "id", "without '/' and white space"),
    "shutdown": (ChildSpec("a", life, shutdown=-1), "shutdown", "0 or more seconds, is -1"),
    "shutdown nan": (ChildSpec("a", life, shutdown=math.nan), "shutdown", "0 or more"),
    "start_timeout": (ChildSpec("a", life, start_timeout=0), "start_timeout", "more than 0 seconds"),
    "significant": (ChildSpec("a", life, significant=True), "significant", "PERMANENT"),
    "hook": (ChildSpec("a", life, on_give_up=print), "on_give_up", "without a rule"),
    "intensity": (ChildSpec("a", life, rule=RestartRule(intensity=-1)), "rule.intensity", "0 or more"),
    "period": (ChildSpec("a", life, rule=RestartRule(period=0)), "rule.period", "more than 0"),
    "initial": (ChildSpec("a", life, rule=RestartRule(initial_backoff=-1)), "rule.initial_backoff", "0 or"),
    "max": (ChildSpec("a", life, rule=RestartRule(max_backoff=0.5)), "rule.max_backoff", "at least"),
}


@pytest.mark.parametrize(("spec", "field", "text"), CASES.values(), ids=CASES)
def test_each_fault_names_its_field(spec, field, text):
    with pytest.raises(InvalidArgument) as refused:
        check_children([ChildSpec("good", life), spec], Strategy.ONE_FOR_ONE)
    (violation,) = refused.value.violations
    assert violation.field == f"children[1].{field}"
    assert text in violation.description
    with pytest.raises(InvalidArgument) as refused:
        check_child(spec, Strategy.ONE_FOR_ONE)
    assert refused.value.violations[0].field == f"child.{field}"


def test_all_faults_are_told_at_once(stage):
    with pytest.raises(InvalidArgument) as refused:
        Supervisor(
            "root",
            [ChildSpec("a", life), ChildSpec("a", life, shutdown=-1), ChildSpec("b/", life)],
            clock=stage.clock,
        )
    assert [v.field for v in refused.value.violations] == [
        "children[1].shutdown",
        "children[1].id",
        "children[2].id",
    ]
    assert "'a' is children[0] already" in str(refused.value)


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_a_rule_of_its_own_needs_independent_siblings(stage, strategy):
    with pytest.raises(InvalidArgument, match=f"rule: must be None under {strategy}"):
        Supervisor("root", [ChildSpec("a", life, rule=RestartRule())], clock=stage.clock, strategy=strategy)


def test_a_supervisors_rule_is_checked_too(stage):
    with pytest.raises(InvalidArgument) as refused:
        Supervisor("root", clock=stage.clock, rule=RestartRule(intensity=-1, period=-1))
    assert [v.field for v in refused.value.violations] == ["rule.intensity", "rule.period"]


@pytest.mark.parametrize("name", ["", "a/b", "a b"])
def test_a_supervisors_id_is_checked_too(stage, name):
    with pytest.raises(InvalidArgument) as refused:
        Supervisor(name, clock=stage.clock)
    assert [v.field for v in refused.value.violations] == ["id"]


def test_defaults():
    worker, boss = ChildSpec("a", life), ChildSpec("b", life, kind=ComponentKind.SUPERVISOR)
    assert (worker.mode, worker.shutdown_limit, worker.start_limit) == (RestartMode.PERMANENT, 5.0, 30.0)
    assert (boss.shutdown_limit, boss.start_limit) == (math.inf, math.inf)
    rule = RestartRule(mode=RestartMode.TRANSIENT)
    assert ChildSpec("c", life, rule=rule).mode is RestartMode.TRANSIENT
    assert ChildSpec("c", life, rule=rule, restart=RestartMode.TEMPORARY).mode is RestartMode.TEMPORARY
