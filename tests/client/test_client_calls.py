"""Calls of the SDK against a real server: models, requests, pages, batches."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.client import InvalidArgument, NewEvent, NotFound, TriggerRequest, as_json
from nightcrew.client.models.agent import AgentState, ChangeAction
from nightcrew.client.models.execution import ExecutionState, TriggerKind
from nightcrew.client.models.schedule import FireOutcome

SPEC = {
    "program": {"python": {"entrypoint": "jobs:digest"}},
    "input": {"whole": 7, "half": 0.5, "big": 2**53, "deep": [{"n": 1, "none": None, "yes": True}]},
    "triggers": [
        {
            "id": "cron",
            "schedule": {"cron": {"expression": "0 9 * * *"}, "time_zone": "Europe/Berlin", "jitter": "1.5s"},
        },
        {"id": "date", "schedule": {"date": {"time": "2030-01-01T00:00:00Z"}}},
    ],
    "execution": {"timeout": "30s", "max_concurrency": 0, "retry": {"backoff_multiplier": 2}},
    "isolation": "ISOLATION_POOL",
}


async def test_a_spec_goes_there_and_back_unchanged(crew):
    made = await crew.agents.create("digest", SPEC, labels={"team": "ops"}, display_name="Digest")
    assert made.spec == SPEC
    assert (made.id, made.state, made.labels, made.generation) == (
        "digest",
        AgentState.STOPPED,
        {"team": "ops"},
        1,
    )
    whole = made.spec["input"]["whole"]
    assert isinstance(whole, int)
    assert await crew.agents.get("digest") == made


async def test_camel_case_names_are_taken_too(crew):
    made = await crew.agents.create(
        "a", {"program": {"python": {"entrypoint": "a:b"}}, "execution": {"maxConcurrency": 3}}
    )
    assert made.spec["execution"] == {"max_concurrency": 3}


async def test_models_cannot_be_changed(crew):
    made = await crew.agents.create("a", SPEC)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.id = "b"


async def test_every_fault_of_a_spec_is_named_and_nothing_is_sent(crew, peer):
    spec = {
        "program": {"python": {"entrypoint": 3}, "http": {"url": "x"}},
        "tigers": [],
        "triggers": [{"id": "a", "schedule": {"interval": {"every": "soon"}}}, "no"],
        "execution": {"max_concurrency": 1.5, "overlap": "SKIP", "timeout": 30, "retry": {"jitter": "yes"}},
        "input": {"x": float("nan"), "y": 1},
    }
    with pytest.raises(InvalidArgument) as caught:
        await crew.agents.create("a", spec)
    found = {one.field: one.description for one in caught.value.field_violations}
    assert found.keys() == {
        "agent.spec.program.python.entrypoint",
        "agent.spec.program.http",
        "agent.spec.tigers",
        "agent.spec.triggers[0].schedule.interval.every",
        "agent.spec.triggers[1]",
        "agent.spec.execution.max_concurrency",
        "agent.spec.execution.overlap",
        "agent.spec.execution.timeout",
        "agent.spec.execution.retry.jitter",
        "agent.spec.input.x",
    }
    assert "did you mean triggers?" in found["agent.spec.tigers"]
    assert "OVERLAP_POLICY_SKIP" in found["agent.spec.execution.overlap"]
    assert "put it in quotes" in found["agent.spec.program.python.entrypoint"]
    assert "python is" in found["agent.spec.program.http"]
    assert not peer.script.calls["CreateAgent"]


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"a": {"b": [1, object()]}}, "input.a.b[1]"),
        ({"a": 2**60 + 1}, "input.a"),
        ({"a": float("inf")}, "input.a"),
        ({"a": "\ud800"}, "input.a"),
        ({"a": 10**400}, "input.a"),
    ],
)
async def test_an_input_that_json_cannot_carry_is_named(crew, bad, where):
    with pytest.raises(InvalidArgument) as caught:
        await crew.agents.trigger("digest", bad)
    assert caught.value.field_violations[0].field == where


async def test_trigger_gives_a_typed_execution(crew, peer):
    peer.world.add_agent("digest")
    run = await crew.agents.trigger(
        "digest", {"day": "monday", "n": 3}, labels={"k": "v"}, priority=2, wait=1.5
    )
    assert run.state is ExecutionState.SUCCEEDED
    assert run.state.final
    assert run.input == {"day": "monday", "n": 3}
    assert run.result == {"sent": 3, "rate": 0.5}
    assert isinstance(run.result["sent"], int)
    assert run.trigger.kind is TriggerKind.MANUAL
    assert run.labels == {"k": "v"}
    assert run.end_time - run.start_time == timedelta(seconds=2)
    assert run.create_time == datetime.fromtimestamp(1_700_000_001.123456, UTC)
    sent = peer.script.calls["TriggerAgent"][0]
    assert (sent.wait.seconds, sent.wait.nanos, sent.priority) == (1, 500_000_000, 2)
    assert len(sent.request_id) == 36


async def test_each_mutation_has_a_request_id_of_its_own_unless_it_is_given(crew, peer):
    peer.world.add_agent("digest")
    await crew.agents.trigger("digest")
    await crew.agents.trigger("digest")
    await crew.agents.trigger("digest", request_id="11111111-1111-4111-8111-111111111111")
    ids = [one.request_id for one in peer.script.calls["TriggerAgent"]]
    assert len(set(ids)) == 3
    assert ids[2] == "11111111-1111-4111-8111-111111111111"


async def test_trigger_many_splits_by_number_and_answers_each_in_order(crew, peer):
    peer.world.add_agent("digest")
    asked = [TriggerRequest(agent_id="digest" if n % 500 else "nobody", input={"n": n}) for n in range(2300)]
    results = await crew.agents.trigger_many(asked)
    assert [len(one.requests) for one in peer.script.calls["BatchTriggerAgents"]] == [1000, 1000, 300]
    assert len(results) == 2300
    for number, result in enumerate(results):
        if number % 500:
            assert result.execution.input == {"n": number}
        else:
            assert isinstance(result.error, NotFound)
            assert result.error.reason == "not_found"


async def test_trigger_many_splits_by_size_under_the_servers_limit(crew, peer):
    peer.world.add_agent("digest")
    text = "x" * 900_000
    results = await crew.agents.trigger_many(
        TriggerRequest(agent_id="digest", input={"text": text, "n": n}) for n in range(7)
    )
    assert [one.execution.input["n"] for one in results] == list(range(7))
    assert [len(one.requests) for one in peer.script.calls["BatchTriggerAgents"]] == [3, 3, 1]


async def test_lists_go_through_every_page_once(crew, peer):
    for number in range(25):
        peer.world.add_agent(f"a{number:02d}")
    pages = crew.agents.list(page_size=10, filter='state = "STATE_ACTIVE"', order_by="id")
    assert [one.id async for one in pages] == [f"a{number:02d}" for number in range(25)]
    asked = peer.script.calls["ListAgents"]
    assert [(one.page_size, one.page_token) for one in asked] == [(10, ""), (10, "10"), (10, "20")]
    assert {(one.filter, one.order_by) for one in asked} == {('state = "STATE_ACTIVE"', "id")}


async def test_single_pages_and_a_taken_few(crew, peer):
    for number in range(25):
        peer.world.add_agent(f"a{number:02d}")
    pages = crew.agents.list(page_size=10)
    first = await pages.page()
    second = await pages.page(first.next_page_token, page_size=5)
    assert [one.id for one in second.items] == [f"a{number}" for number in range(10, 15)]
    taken, more = await pages.take(12)
    assert (len(taken), more) == (12, True)
    assert [one.page_size for one in peer.script.calls["ListAgents"][2:]] == [10, 2]
    taken, more = await pages.take(25)
    assert (len(taken), more) == (25, False)
    assert [len(one.items) async for one in pages.pages()] == [10, 10, 5]
    with pytest.raises(InvalidArgument):
        await pages.page(page_size=-1)


async def test_an_empty_list_is_one_call(crew, peer):
    assert [one async for one in crew.agents.list()] == []
    assert len(peer.script.calls["ListAgents"]) == 1


async def test_update_names_what_changes(crew, peer):
    made = await crew.agents.create("a", SPEC, description="old")
    changed = await crew.agents.update("a", {"description": "new"}, etag=made.etag)
    assert (changed.description, changed.spec) == ("new", SPEC)
    changed = await crew.agents.update(
        "a", {"spec": {"execution": {"timeout": "60s"}}}, mask=["spec.execution.timeout"]
    )
    assert changed.spec["execution"] == {**SPEC["execution"], "timeout": "60s"}
    masks = [list(one.update_mask.paths) for one in peer.script.calls["UpdateAgent"]]
    assert masks == [["description"], ["spec.execution.timeout"]]


async def test_delete_says_whether_it_is_gone(crew, peer):
    peer.world.add_agent("a", state=1)
    peer.world.add_agent("b")
    assert await crew.agents.delete("a") is None
    assert (await crew.agents.delete("b", force=True)).id == "b"


async def test_apply_shows_and_does(crew, peer):
    peer.world.add_agent("old", team="ops")
    manifest = [{"id": "new", "spec": SPEC}]
    shown = await crew.agents.apply(manifest, prune_selector={"team": "ops"}, validate_only=True)
    assert [(one.id, one.action) for one in shown] == [
        ("new", ChangeAction.CREATED),
        ("old", ChangeAction.DELETED),
    ]
    assert list(peer.world.agents) == ["old"]
    await crew.agents.apply(manifest, prune_selector={"team": "ops"})
    assert list(peer.world.agents) == ["new"]
    with pytest.raises(InvalidArgument) as caught:
        await crew.agents.apply([manifest[0], {"id": 5}])
    assert caught.value.field_violations[0].field == "agents[1].id"


async def test_lifecycle_by_labels_answers_each(crew, peer):
    peer.world.add_agent("a", state=1, team="ops")
    peer.world.add_agent("b", state=3, team="ops")
    peer.world.add_agent("c", state=1, team="dev")
    results = {one.id: one for one in await crew.agents.start_all({"team": "ops"}, reason="morning")}
    assert results.keys() == {"a", "b"}
    assert results["a"].agent.state is AgentState.ACTIVE
    assert results["a"].agent.state_reason == "morning"
    assert results["b"].error.state == "STATE_PAUSED"
    with pytest.raises(InvalidArgument):
        await crew.agents.stop_all({})


async def test_lifecycle_by_id(crew, peer):
    peer.world.add_agent("a", state=1)
    assert (await crew.agents.start("a")).state is AgentState.ACTIVE
    assert (await crew.agents.pause("a", reason="lunch")).state is AgentState.PAUSED
    assert (await crew.agents.resume("a")).state is AgentState.ACTIVE
    assert (await crew.agents.stop("a")).state is AgentState.STOPPED
    condition = await crew.agents.status("a")
    assert (condition.state, condition.status.running_count) == (AgentState.STOPPED, 0)


async def test_schedules_preview_and_ledger(crew, peer):
    after = datetime(2030, 1, 1, tzinfo=UTC)
    fires = await crew.schedules.preview({"cron": {"expression": "0 * * * *"}}, after=after, count=3)
    assert [one.nominal_time for one in fires] == [after + timedelta(hours=n) for n in (1, 2, 3)]
    assert [one.note for one in fires] == ["", "shifted", ""]
    with pytest.raises(InvalidArgument, match="zone"):
        await crew.schedules.preview({"cron": {"expression": "* * * * *"}}, after=datetime(2030, 1, 1))
    fire = peer.world.fires
    from nightcrew.v1 import fire_pb2

    fire.append(fire_pb2.Fire(agent_id="a", trigger_id="cron", outcome="OUTCOME_STARTED", count=1))
    assert [one.outcome async for one in crew.schedules.fires()] == [FireOutcome.STARTED]


async def test_events_are_published_and_listed(crew):
    results = await crew.events.publish(
        [
            NewEvent(type="shop.order.created", source="/shop", data={"id": 4}),
            NewEvent(type="shop.order.paid", source="/shop", data=[1, "x", None]),
        ]
    )
    assert [one.sequence for one in results] == [1, 2]
    listed = [(one.type, one.data) async for one in crew.events.list()]
    assert listed == [("shop.order.paid", [1, "x", None]), ("shop.order.created", {"id": 4})]


async def test_a_number_that_a_newer_server_sends_is_unspecified(crew, peer):
    peer.world.add_agent("a", state=99)
    assert (await crew.agents.get("a")).state is AgentState.UNSPECIFIED


async def test_models_have_a_json_form(crew, peer):
    peer.world.add_agent("digest", team="ops")
    run = as_json(await crew.agents.trigger("digest", {"n": 1}, wait=timedelta(seconds=1)))
    assert run["state"] == "STATE_SUCCEEDED"
    assert run["create_time"] == "2023-11-14T22:13:21.123456Z"
    assert run["trigger"] == {
        "kind": "KIND_MANUAL",
        "trigger_id": "",
        "event_id": "",
        "cause_execution_id": "",
        "event_sequence": 0,
        "chain_depth": 0,
    }
    assert "error" not in run
    results = as_json(await crew.agents.trigger_many([TriggerRequest(agent_id="nobody")]))
    assert results[0]["error"]["code"] == "NOT_FOUND"
    agent = as_json(await crew.agents.get("digest"))
    assert (agent["labels"], agent["generation"]) == ({"team": "ops"}, 1)


async def test_the_runtime_shows_itself(crew, peer):
    peer.world.add_agent("a")
    runtime = await crew.runtime.get()
    assert (runtime.version, runtime.agent_counts) == ("0.1.0", {"STATE_ACTIVE": 1})
    assert [one.id async for one in crew.runtime.components()] == ["root", "root/store", "root/agents"]
