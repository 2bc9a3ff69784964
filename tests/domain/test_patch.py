"""Updates by field mask, the bounds that policies mean, and the ids of triggers that nobody named."""

from itertools import product

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.patch import apply_mask
from nightcrew.domain.policies import cancel_grace, max_backlog, max_concurrency, retry_policy
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.spec.policy import OverlapPolicy

PYTHON = {"python": {"entrypoint": "jobs:run"}}
CRON = {"schedule": {"cron": {"expression": "0 9 * * *"}}}
CURRENT = {
    "display_name": "Digest",
    "description": "mails",
    "labels": {"team": "ops", "tier": "1"},
    "spec": {"program": PYTHON, "input": {"to": "a"}, "execution": {"timeout": "5s", "max_concurrency": 2}},
}


def patched(patch, *paths):
    return apply_mask(CURRENT, patch, paths)


def changed(**fields):
    return {**CURRENT, **fields}


@pytest.mark.parametrize(
    ("patch", "paths", "expected"),
    [
        ({"description": "new"}, ["description"], changed(description="new")),
        # Without a mask it is every field that was sent, and no other.
        ({"description": "new"}, [], changed(description="new")),
        ({}, [], CURRENT),
        # `*` is all of them: what was not sent is cleared.
        ({"spec": {"program": PYTHON}}, ["*"], {"spec": {"program": PYTHON}}),
        # A field that is named and not sent is cleared.
        ({}, ["labels"], {name: value for name, value in CURRENT.items() if name != "labels"}),
        ({"labels": {"team": "dev"}}, ["labels.team"], changed(labels={"team": "dev", "tier": "1"})),
        ({}, ["labels.tier"], changed(labels={"team": "ops"})),
        (
            {"spec": {"execution": {"timeout": "9s"}}},
            ["spec.execution.timeout"],
            changed(spec={**CURRENT["spec"], "execution": {"timeout": "9s", "max_concurrency": 2}}),
        ),
        (
            {"spec": {}},
            ["spec.execution.max_concurrency"],
            changed(spec={**CURRENT["spec"], "execution": {"timeout": "5s"}}),
        ),
        (
            {"spec": {"input": {"to": "b"}}},
            ["spec.input"],
            changed(spec={**CURRENT["spec"], "input": {"to": "b"}}),
        ),
        (
            {"spec": {"input": {"to": "b"}}, "description": "x"},
            ["spec.input.to", "description"],
            changed(spec={**CURRENT["spec"], "input": {"to": "b"}}, description="x"),
        ),
        # What lies below something that is not there yet is made.
        (
            {"spec": {"execution": {"retry": {"max_attempts": 3}}}},
            ["spec.execution.retry.max_attempts"],
            changed(
                spec={
                    **CURRENT["spec"],
                    "execution": {"timeout": "5s", "max_concurrency": 2, "retry": {"max_attempts": 3}},
                }
            ),
        ),
    ],
)
def test_a_mask_replaces_what_it_names_and_nothing_else(patch, paths, expected):
    before = repr(CURRENT)
    assert patched(patch, *paths) == expected
    assert repr(CURRENT) == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("state", "Start, Stop, Pause and Resume"),
        ("status.running_count", "can't be set"),
        ("id", "not a field of an agent that can be updated"),
        ("etag", "not a field"),
        ("colour", "not a field"),
        ("", "not a field"),
        ("spec.colour", "no 'colour' there"),
        ("spec.execution.retry.colour", "no 'colour' there"),
        ("spec.triggers.cron", "no 'cron' there"),
        ("spec.triggers[0].id", "no 'triggers[0]' there"),
        ("display_name.first", "no 'first' there"),
        ("labels.", "no '' there"),
        ("spec.*", "no '*' there"),
    ],
)
def test_a_path_that_does_not_exist_is_named(path, words):
    with pytest.raises(InvalidArgument) as caught:
        patched({"description": "x"}, "description", path)
    (violation,) = caught.value.violations
    assert violation.field == "update_mask"
    assert words in violation.description
    assert repr(path) in violation.description


def test_every_wrong_path_is_named_at_once():
    with pytest.raises(InvalidArgument) as caught:
        patched({}, "state", "nope", "description")
    assert len(caught.value.violations) == 2


@pytest.mark.parametrize(
    ("agent", "trigger", "asked"), list(product(OverlapPolicy, [None, *OverlapPolicy], [None, 0, 1, 4]))
)
def test_how_many_runs_an_agent_may_have(agent, trigger, asked):
    execution = {"overlap": agent} | ({} if asked is None else {"max_concurrency": asked})
    triggers = [] if trigger is None else [{**CRON, "overlap": trigger}]
    spec = AgentSpec.parse({"program": PYTHON, "execution": execution, "triggers": triggers})
    # One at a time, unless it says otherwise: by a number, or by an ALLOW of its own or of a trigger.
    unbound = OverlapPolicy.ALLOW in {agent, trigger}
    assert max_concurrency(spec) == ((0 if unbound else 1) if asked is None else asked)


def test_the_other_defaults():
    policy = AgentSpec.parse({"program": PYTHON}).execution
    assert (max_backlog(policy), cancel_grace(policy), retry_policy(policy).max_attempts) == (1000, 10.0, 1)
    policy = AgentSpec.parse(
        {
            "program": PYTHON,
            "execution": {"max_backlog": 0, "cancel_grace": "0s", "retry": {"max_attempts": 4}},
        }
    ).execution
    assert (max_backlog(policy), cancel_grace(policy), retry_policy(policy).max_attempts) == (0, 0.0, 4)


def kinds(*kinds):
    every = {
        "cron": CRON,
        "interval": {"schedule": {"interval": {"every": "5s"}}},
        "civil": {"schedule": {"civil": {"days": 1, "timeOfDay": "09:00"}}},
        "date": {"schedule": {"date": {"time": "2026-01-01T00:00:00Z"}}},
        "webhook": {"webhook": {"scheme": "SCHEME_NONE"}},
        "event": {"event": {"types": ["a"]}},
        "resident": {"resident": {}},
    }
    return [
        {**every[kind], **({"id": name} if name is not None else {})}
        for kind, _, name in ((*kind.partition("="),) for kind in kinds)
        for name in [name or None]
    ]


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        (kinds("cron", "interval", "civil", "date"), ["cron", "interval", "civil", "date"]),
        (kinds("webhook", "event", "resident"), ["webhook", "event", "resident"]),
        (kinds("cron", "cron", "cron"), ["cron", "cron-2", "cron-3"]),
        (kinds("cron", "cron=mine", "cron"), ["cron", "mine", "cron-2"]),
        # A name that somebody took is nobody else's.
        (kinds("cron", "cron=cron"), ["cron-2", "cron"]),
        (kinds("cron", "cron", "cron=cron-2"), ["cron", "cron-3", "cron-2"]),
        ([{**CRON, "id": ""}, {**CRON, "id": None}], ["cron", "cron-2"]),
    ],
)
def test_triggers_that_nobody_named_are_named_after_their_kind(written, ids):
    given = {"program": PYTHON, "triggers": written}
    assert [one.id for one in AgentSpec.parse(given).triggers] == ids
    assert [one.id for one in Manifest.parse({"spec": given}).spec.triggers] == ids
    # What was named once keeps its name through the store.
    spec = AgentSpec.parse(given)
    assert AgentSpec.model_validate_json(spec.model_dump_json(exclude_defaults=True)) == spec


@pytest.mark.parametrize(
    ("trigger", "field"),
    [
        ({}, "spec.triggers[0]"),
        ({"schedule": {}}, "spec.triggers[0].schedule"),
        ({"id": 5, **CRON}, "spec.triggers[0].id"),
        ({"id": "No!", **CRON}, "spec.triggers[0].id"),
        ("cron", "spec.triggers[0]"),
    ],
)
def test_a_trigger_that_is_wrong_is_told_once_and_by_its_own_fault(trigger, field):
    with pytest.raises(InvalidArgument) as caught:
        AgentSpec.parse({"program": PYTHON, "triggers": [trigger]}, field="spec")
    assert [violation.field for violation in caught.value.violations] == [field]


def test_two_triggers_of_one_id_are_refused():
    with pytest.raises(InvalidArgument, match="'a' twice"):
        AgentSpec.parse({"program": PYTHON, "triggers": kinds("cron=a", "cron=a")})
