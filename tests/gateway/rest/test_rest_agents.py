"""Agents between REST and the domain, without a server: what a body makes, what an update changes, what is shown."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.patch import apply_mask
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.spec.program import Program
from nightcrew.gateway.web.rest.agents import agent_answer, manifest_of, patch_of
from nightcrew.gateway.web.rest.bodies import AgentUpdate, AnyCreate
from nightcrew.services.agents import agent_json
from nightcrew.services.status import AgentStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROGRAM = Program.parse({"python": {"entrypoint": "jobs:digest"}})
BODY = {"name": "Digest", "flow_id": "digest", "trigger_type": "CRON"}


def manifest(**fields):
    return manifest_of(
        TypeAdapter(AnyCreate).validate_python({**BODY, **fields}), agent_id="a", program=PROGRAM
    )


def agent(*triggers, labels=None, state=AgentState.STOPPED):
    spec = AgentSpec.parse({"program": PROGRAM, "triggers": triggers})
    return Agent(
        id="a", spec=spec, create_time=NOW, update_time=NOW, state_time=NOW, labels=labels or {}, state=state
    )


def made(**fields):
    one = manifest(**fields)
    return Agent(
        id="a",
        spec=one.spec,
        display_name=one.display_name,
        description=one.description,
        labels=one.labels,
        create_time=NOW,
        update_time=NOW,
        state_time=NOW,
    )


def shown(one):
    return agent_answer(one, AgentStatus(), hooks="http://here/hooks")


def updated(one, **body):
    """The agent after an update, as the service would make it."""
    patch = patch_of(one, AgentUpdate.model_validate(body), new_secret=lambda: "whsec_bWFkZQ==")
    if not patch.paths:
        return one
    whole = Manifest.parse({**apply_mask(agent_json(one), patch.agent, patch.paths), "id": "a"})
    return Agent(
        id="a",
        spec=whole.spec,
        display_name=whole.display_name,
        description=whole.description,
        labels=whole.labels,
        create_time=NOW,
        update_time=NOW,
        state_time=NOW,
        state=one.state,
    )


CONFIGS = [
    ("CRON", {}),
    ("CRON", {"minute": 0, "hour": "9", "day_of_week": "0-4"}),
    ("CRON", {"minute": "*/5", "hour": "*", "timezone": "Europe/Berlin"}),
    ("INTERVAL", {"seconds": 300}),
    ("INTERVAL", {"hours": 1, "minutes": 30, "seconds": 0}),
    ("INTERVAL", {"seconds": 0.5}),
    ("DATE", {"run_date": "2099-01-01T00:00:00"}),
    ("DATE", {"run_date": "2099-01-01T00:00:00+02:00"}),
    ("EVENT", {}),
    ("EVENT", {"filter": "event.data.total > 100 || (event.source == '/x')"}),
    ("EVENT", {"source": "/shop"}),
    ("EVENT", {"type": "shop.order.*", "source": "/shop", "filter": "event.data.total > 100"}),
    ("WEBHOOK", {}),
]


@pytest.mark.parametrize(("kind", "config"), CONFIGS)
def test_a_config_is_shown_as_it_was_given(kind, config):
    one = shown(made(trigger_type=kind, trigger_config=config))
    assert (one.trigger_type, one.trigger_config) == (kind, config)


@pytest.mark.parametrize(("kind", "config"), CONFIGS)
def test_what_is_shown_of_a_trigger_from_elsewhere_makes_the_same_trigger(kind, config):
    trigger = manifest(trigger_type=kind, trigger_config=config).spec.triggers[0]
    foreign = shown(agent(trigger))
    again = manifest(trigger_type=kind, trigger_config=foreign.trigger_config).spec.triggers[0]
    assert foreign.trigger_type == kind
    assert again == trigger


@pytest.mark.parametrize(
    ("every", "config"),
    [
        (timedelta(minutes=90), {"hours": 1, "minutes": 30}),
        (timedelta(days=15), {"weeks": 2, "days": 1}),
        (timedelta(seconds=1.5), {"seconds": 1.5}),
        (timedelta(seconds=90), {"minutes": 1, "seconds": 30}),
    ],
)
def test_an_interval_from_elsewhere_is_shown_in_the_largest_units(every, config):
    assert shown(agent({"id": "x", "schedule": {"interval": {"every": every}}})).trigger_config == config


def test_a_config_that_no_longer_is_the_triggers_is_not_shown():
    one = made(trigger_type="INTERVAL", trigger_config={"seconds": 300})
    changed = agent({"id": "interval", "schedule": {"interval": {"every": "60s"}}}, labels=one.labels)
    assert shown(changed).trigger_config == {"minutes": 1}
    for label in ("not json", "[]", '"x"', '{"minute": 1}', '{"seconds": -1}'):
        foreign = agent(changed.spec.triggers[0], labels={"trigger_config": label})
        assert shown(foreign).trigger_config == {"minutes": 1}


def test_a_config_that_is_too_long_for_a_label_is_shown_by_its_trigger():
    minutes, hours = ",".join(["0-59"] * 25), ",".join(["0-23"] * 23)
    config = {"minute": minutes, "hour": hours}
    one = made(trigger_config=config)
    assert "trigger_config" not in one.labels
    assert shown(one).trigger_config["minute"] == minutes


def test_agents_from_elsewhere_have_no_type_that_the_seed_did_not_know():
    for trigger in (
        {"id": "x", "resident": {}},
        {"id": "x", "schedule": {"civil": {"days": 2, "time_of_day": "09:00"}}},
    ):
        one = shown(agent(trigger))
        assert (one.trigger_type, one.trigger_config, one.enabled) == (None, {}, True)
    assert shown(agent()).trigger_type is None
    assert shown(agent()).flow_id == "jobs:digest"


def test_a_webhook_is_shown_with_its_url_and_without_its_secrets():
    one = agent({"id": "hook-2", "webhook": {"scheme": "SCHEME_GITHUB", "secrets": ["s3cret"]}})
    assert shown(one).webhook_url == "http://here/hooks/a/hook-2"
    assert "s3cret" not in shown(one).model_dump_json()
    assert manifest(trigger_type="WEBHOOK").spec.triggers[0].id == "webhook"


def test_stopping_is_stopped():
    assert {state.name: shown(agent(state=state)).status.value for state in AgentState} == {
        "STOPPED": "STOPPED",
        "ACTIVE": "ACTIVE",
        "PAUSED": "PAUSED",
        "STOPPING": "STOPPED",
        "ERROR": "ERROR",
    }


@pytest.mark.parametrize(
    "triggers",
    [
        (),
        ({"id": "x", "resident": {}},),
        ({"id": "e", "event": {"types": ["a", "b"], "subject": "s"}},),
        ({"id": "w", "webhook": {"scheme": "SCHEME_GITHUB"}},),
        (
            {"id": "c", "schedule": {"cron": {"expression": "0 0 1 * 1"}, "jitter": "5s"}},
            {"id": "d", "schedule": {"date": {"time": "2020-01-01T00:00:00Z"}}, "disabled": True},
        ),
    ],
)
def test_what_was_read_can_be_sent_back_and_changes_nothing(triggers):
    one = agent(*triggers)
    assert updated(one, **shown(one).model_dump(mode="json")) == one


def test_an_update_changes_what_it_names_only():
    one = made(description="old", input_config={"a": 1}, trigger_config={"minute": 0})
    renamed = updated(one, name="New")
    assert (renamed.display_name, renamed.description) == ("New", "old")
    assert (renamed.spec, renamed.labels) == (one.spec, one.labels)
    assert updated(one, description=None).description == ""
    assert updated(one, name=None, enabled=None, trigger_type=None) == one
    assert updated(one, input_config={"b": 2}).spec.input == {"b": 2}
    assert updated(one, input_config={}).spec.input == {}


def test_a_new_config_replaces_the_old_one_and_keeps_what_rest_does_not_speak_of():
    schedule = {"cron": {"expression": "0 9 * * *"}, "time_zone": "Asia/Tokyo", "jitter": "5s"}
    other = {"id": "other", "event": {"types": ["x"]}}
    one = agent({"id": "mine", "schedule": schedule, "input": {"k": 1}}, other)
    new = updated(one, trigger_config={"minute": 30}).spec.triggers
    assert new[0].schedule.cron.expression == "30 * * * *"
    assert new[0].schedule.time_zone == "UTC", "a field that is left out has its default"
    assert (new[0].id, new[0].schedule.jitter, new[0].input) == ("mine", timedelta(seconds=5), {"k": 1})
    assert new[1] == one.spec.triggers[1]


def test_a_config_without_a_type_forgets_the_type():
    one = made(trigger_type="EVENT", trigger_config={"type": "shop.*", "source": "/shop", "filter": "true"})
    new = updated(one, trigger_config={})
    assert shown(new).trigger_config == {}
    assert (new.spec.triggers[0].event.types, new.spec.triggers[0].event.source) == ((), "")


def test_another_type_makes_another_trigger():
    one = made(trigger_config={"minute": 0}, enabled=False)
    new = updated(one, trigger_type="INTERVAL", trigger_config={"seconds": 5})
    assert [trigger.id for trigger in new.spec.triggers] == ["interval"]
    assert new.spec.triggers[0].disabled
    assert shown(new).trigger_config == {"seconds": 5}
    hooked = updated(one, trigger_type="WEBHOOK")
    assert [trigger.id for trigger in hooked.spec.triggers] == ["webhook"]
    assert "trigger_config" not in hooked.labels


def test_a_webhook_that_is_given_no_secret_stays_as_it_is():
    one = agent({"id": "w", "webhook": {"scheme": "SCHEME_GITHUB"}})
    assert updated(one, trigger_config={}) == one
    new = updated(one, trigger_config={"secret": "whsec_AAAA"}).spec.triggers[0].webhook
    assert (new.scheme, new.secrets) == ("SCHEME_STANDARD", ("whsec_AAAA",))


def test_enabled_switches_every_trigger():
    hook = {"id": "b", "webhook": {"scheme": "SCHEME_NONE"}}
    one = agent({"id": "a", "schedule": {"cron": {"expression": "@daily"}}, "disabled": True}, hook)
    assert shown(one).enabled
    assert updated(one, enabled=True) == one, "it is so already"
    off = updated(one, enabled=False)
    assert [trigger.disabled for trigger in off.spec.triggers] == [True, True]
    assert not shown(off).enabled
    assert [trigger.disabled for trigger in updated(off, enabled=True).spec.triggers] == [False, False]


@pytest.mark.parametrize(
    ("one", "body", "field", "said"),
    [
        (agent(), {"status": "ACTIVE"}, "status", "start, stop, pause and resume"),
        (agent(), {"flow_id": "other"}, "flow_id", "can't be changed"),
        (agent(), {"enabled": False}, "enabled", "no trigger"),
        (agent(), {"trigger_config": {"minute": 0}}, "trigger_type", "is required"),
        (made(), {"trigger_type": "INTERVAL"}, "trigger_config", "becomes INTERVAL"),
        (made(trigger_type="EVENT"), {"trigger_type": "CRON"}, "trigger_config", "becomes CRON"),
        (made(), {"trigger_config": {"seconds": 5}}, "trigger_config.seconds", "is not a field"),
        (made(), {"trigger_config": {"minute": True}}, "trigger_config.minute", "a number, or a text"),
        (made(), {"trigger_config": {"minute": 99}}, "trigger_config.minute", "out of range"),
        (
            made(),
            {"trigger_type": "INTERVAL", "trigger_config": {"weeks": 10**9}},
            "trigger_config",
            "36525 days",
        ),
        (
            made(),
            {"trigger_type": "INTERVAL", "trigger_config": {"days": float("inf")}},
            "trigger_config.days",
            "a number from 0",
        ),
        (made(), {"trigger_type": "DATE", "trigger_config": {}}, "trigger_config.run_date", "is required"),
        (
            made(),
            {"trigger_type": "DATE", "trigger_config": {"run_date": "soon"}},
            "trigger_config.run_date",
            "ISO 8601",
        ),
    ],
)
def test_an_update_that_can_not_be_names_its_field(one, body, field, said):
    with pytest.raises(InvalidArgument, match=said) as refused:
        patch_of(one, AgentUpdate.model_validate(body), new_secret=lambda: "whsec_bWFkZQ==")
    assert field in {violation.field for violation in refused.value.violations}
