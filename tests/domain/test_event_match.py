"""Which events a trigger matches: every condition by itself, and all of them together."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import EXECUTION_EVENTS, Event
from nightcrew.domain.event_filter import Facts, FilterError
from nightcrew.domain.event_match import OUTCOMES, check_match, fits, may_trigger
from nightcrew.domain.spec.trigger import EventMatch

EVENT = Event(
    type="shop.order.created",
    source="/shop",
    subject="42",
    time=datetime(2026, 3, 1, tzinfo=UTC),
    agent_id="a",
    sequence=1,
)


def match(agent_id="b", event=EVENT, **fields):
    return fits(EventMatch(**fields), event, Facts(event), agent_id=agent_id)


TYPES = {
    (): True,
    ("*",): True,
    ("shop.order.created",): True,
    ("shop.order.created*",): True,
    ("shop.order.*",): True,
    ("shop.*", "other"): True,
    ("other", "shop.order.created"): True,
    ("shop.order",): False,
    ("shop.order.created.now",): False,
    ("shop.order.created.*",): False,
    ("SHOP.*",): False,
    ("",): False,
}
CONDITIONS = [
    ({"source": "/shop"}, {"source": "/sho"}),
    ({"subject": "42"}, {"subject": "4"}),
    ({"filter": "event.subject == '42'"}, {"filter": "event.subject == '4'"}),
    ({"types": ("shop.*",)}, {"types": ("mill.*",)}),
]


@pytest.mark.parametrize(("types", "expected"), TYPES.items())
def test_types(types, expected):
    assert match(types=types) is expected


@pytest.mark.parametrize("wrong", list(itertools.product([False, True], repeat=len(CONDITIONS))))
def test_all_conditions_must_hold(wrong):
    fields = {}
    for (right, other), bad in zip(CONDITIONS, wrong, strict=True):
        fields |= other if bad else right
    assert match(**fields) is not any(wrong)


@pytest.mark.parametrize(
    ("agent_id", "allow_self", "expected"),
    [("a", False, False), ("a", True, True), ("b", False, True), ("b", True, True)],
)
def test_an_agents_own_events_match_only_if_it_says_so(agent_id, allow_self, expected):
    assert match(agent_id, allow_self=allow_self) is expected


def test_an_error_is_told_only_where_the_rest_matches():
    bad = "event.data.nothing == 1"
    assert match(filter=bad, source="/other") is False
    with pytest.raises(FilterError):
        match(filter=bad)


def test_a_broker_is_known_by_its_url_without_credentials():
    url = "nats://user:${secret:NATS}@host:4222/orders"
    assert not match(source_url=url)
    assert match(source_url=url, event=replace(EVENT, extensions={"brokerurl": "nats://host/orders"}))
    assert not match(source_url=url, event=replace(EVENT, extensions={"brokerurl": "nats://host/bills"}))


def test_of_the_runtimes_own_events_only_outcomes_trigger():
    assert {kind for kind in EXECUTION_EVENTS.values() if may_trigger(kind)} == {
        f"nightcrew.execution.{state}" for state in ("succeeded", "failed", "cancelled", "timed_out")
    }
    assert may_trigger("shop.order.created")
    assert may_trigger("nightcrew")
    assert not may_trigger("nightcrew.agent.started")
    assert len(OUTCOMES) == 4


WRONG = {
    ("types[0]", "must not be empty"): {"types": ("",)},
    ("types[1]", "at its end only, has one at position 4"): {"types": ("ok", "shop*.x")},
    ("types[0]", "position 0"): {"types": ("**",)},
    ("types[0]", "never fires"): {"types": ("nightcrew.agent.started",)},
    ("types[0]", "of the runtime's own"): {"types": ("nightcrew.agent.*",)},
    ("types[0]", "no"): {"types": ("a\nb",)},
    ("types", "at most 64"): {"types": ("t",) * 65},
    ("source", "control characters"): {"source": "\x00"},
    ("subject", "at most 1024"): {"subject": "x" * 1025},
    ("filter", "at position 0"): {"filter": "nope"},
}


@pytest.mark.parametrize(("expected", "fields"), WRONG.items())
def test_what_could_never_match_is_refused(expected, fields):
    with pytest.raises(InvalidArgument) as caught:
        check_match(EventMatch(**fields))
    (violation,) = caught.value.violations
    assert violation.field == expected[0]
    assert expected[1] in violation.description


def test_what_can_match_is_taken():
    for types in ((), ("*",), ("nightcrew.*",), ("nightcrew.execution.*", "shop.order.created")):
        check_match(EventMatch(types=types, source="/shop", filter="event.data.ok"))
