"""Restart intensity, modes and back-off over their whole grid."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.restart import (
    MAX_INTENSITY,
    GiveUp,
    RestartAfter,
    RestartRule,
    backoff,
    decide,
    resolve,
    should_restart,
)
from nightcrew.domain.spec.policy import RestartMode, RestartPolicy

CASES = json.loads((Path(__file__).parents[1] / "data" / "conformance" / "supervision.json").read_text())


def gives_up_at(rule, failures):
    history: tuple[float, ...] = ()
    for index, at in enumerate(failures):
        match decide(history, at, rule):
            case GiveUp():
                return index
            case RestartAfter(_, history):
                pass
    return None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_conformance_of_intensity(case):
    rule = RestartRule(intensity=case["intensity"], period=case["period"], initial_backoff=0, max_backoff=0)
    assert gives_up_at(rule, case["failures"]) == case["gives_up_at"]


@pytest.mark.parametrize(
    ("mode", "normal_end", "abnormal_end"),
    [
        (RestartMode.UNSPECIFIED, True, True),
        (RestartMode.PERMANENT, True, True),
        (RestartMode.TRANSIENT, False, True),
        (RestartMode.TEMPORARY, False, False),
    ],
)
def test_modes(mode, normal_end, abnormal_end):
    assert should_restart(mode, False) is normal_end
    assert should_restart(mode, True) is abnormal_end


def test_defaults_are_otps_of_semantics_md():
    assert resolve(RestartPolicy()) == RestartRule(RestartMode.PERMANENT, 5, 60.0, 1.0, 30.0)


def test_backoff_doubles_to_its_cap_and_never_overflows():
    rule = RestartRule()
    assert [backoff(rule, n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert backoff(rule, MAX_INTENSITY) == 30


def test_the_default_rule_gives_up_at_the_sixth_failure_in_a_row():
    history: tuple[float, ...] = ()
    rule, now, waits = resolve(RestartPolicy()), 100.0, []
    while isinstance(answer := decide(history, now, rule), RestartAfter):
        waits.append(answer.delay)
        history, now = answer.history, now + answer.delay
    assert waits == [1, 2, 4, 8, 16]
    assert answer == GiveUp(6)


def test_a_quiet_period_begins_anew():
    rule = RestartRule()
    history = (0.0, 1.0, 3.0, 7.0, 15.0)
    assert decide(history, 100.0, rule) == RestartAfter(1.0, (100.0,))
    assert history == (0.0, 1.0, 3.0, 7.0, 15.0)


@pytest.mark.parametrize(
    ("fields", "named", "said"),
    [
        ({"period": timedelta(0)}, "period", "longer than 0s"),
        ({"period": timedelta(seconds=-1)}, "period", "longer than 0s"),
        ({"initial_backoff": timedelta(seconds=-1)}, "initial_backoff", "negative"),
        ({"max_backoff": timedelta(seconds=-1)}, "max_backoff", "at least initial_backoff"),
        (
            {"initial_backoff": timedelta(seconds=5), "max_backoff": timedelta(seconds=4)},
            "max_backoff",
            "at least initial_backoff (5s), is 4s",
        ),
        ({"period": timedelta(seconds=30)}, "intensity", "at least 31s, and period is 30s"),
        ({"intensity": 100}, "intensity", "can never be reached"),
        ({"intensity": MAX_INTENSITY + 1}, "intensity", "at most 10000"),
    ],
)
def test_what_is_refused_names_its_field(fields, named, said):
    with pytest.raises(InvalidArgument) as caught:
        resolve(RestartPolicy(**fields))
    assert [v.field for v in caught.value.violations] == [named]
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("fields", "first", "cap"),
    [
        ({"initial_backoff": timedelta(seconds=40), "intensity": 1}, 40, 40),
        ({"max_backoff": timedelta(milliseconds=200)}, 0.2, 0.2),
        ({"initial_backoff": timedelta(0), "max_backoff": timedelta(0), "intensity": MAX_INTENSITY}, 0, 0),
        ({"intensity": 0, "period": timedelta(seconds=1)}, 1, 30),
        ({"period": timedelta(seconds=31)}, 1, 30),
    ],
)
def test_what_is_accepted(fields, first, cap):
    rule = resolve(RestartPolicy(**fields))
    assert (rule.initial_backoff, rule.max_backoff) == (first, cap)


@given(
    intensity=st.integers(0, 12),
    period=st.integers(1, 200),
    first=st.integers(0, 10),
    extra=st.integers(0, 60),
)
def test_refused_exactly_when_a_child_that_always_fails_at_once_is_never_given_up(
    intensity, period, first, extra
):
    rule = RestartRule(RestartMode.PERMANENT, intensity, period, first, first + extra)
    history: tuple[float, ...] = ()
    now, given_up = 0.0, False
    for _ in range(200):
        match decide(history, now, rule):
            case GiveUp():
                given_up = True
                break
            case RestartAfter(delay, history):
                now += delay
    policy = RestartPolicy(
        intensity=intensity,
        period=timedelta(seconds=period),
        initial_backoff=timedelta(seconds=first),
        max_backoff=timedelta(seconds=first + extra),
    )
    if given_up:
        assert resolve(policy) == rule
    else:
        with pytest.raises(InvalidArgument):
            resolve(policy)
