"""Agents over gRPC: made, read, changed by masks, guarded by etags, applied, deleted; every refusal names its field."""

import pytest
from google.protobuf.struct_pb2 import Struct
from tests.gateway.support.gateway_box import as_json, refused, request_id, until

from nightcrew.v1 import agent_pb2, agent_service_pb2


async def test_an_agent_comes_back_as_it_was_written(box):
    spec = {
        "program": {"python": {"entrypoint": "gateway_programs:echo"}},
        "input": {"whole": 3, "half": 0.5, "text": "ä", "list": [1, None, True], "deep": {"x": {}}},
        "triggers": [
            {
                "id": "cron",
                "schedule": {"cron": {"expression": "0 9 * * mon-fri"}, "time_zone": "Europe/Berlin"},
            }
        ],
        "execution": {"timeout": "30s", "max_concurrency": 0, "retry": {"max_attempts": 3, "jitter": False}},
    }
    made = await box.call(
        "CreateAgent",
        agent={
            "id": "digest",
            "display_name": "Digest",
            "description": "Daily",
            "labels": {"team": "ops"},
            "spec": spec,
        },
    )
    got = await box.agent("digest")
    assert as_json(got) == as_json(made.agent)
    # proto3 JSON numbers come back as floats; the rest is as it was sent
    assert as_json(got)["spec"] == spec
    assert (got.display_name, got.description, dict(got.labels)) == ("Digest", "Daily", {"team": "ops"})
    assert got.state == agent_pb2.Agent.STATE_STOPPED
    assert (got.generation, got.etag) == (1, "r1")
    assert got.HasField("create_time")
    assert got.HasField("status")


async def test_an_agent_without_an_id_is_given_one(box):
    request = agent_service_pb2.CreateAgentRequest()
    request.agent.spec.program.python.entrypoint = "gateway_programs:echo"
    made = (await box.agents.CreateAgent(request)).agent
    assert made.id.startswith("agent-")
    assert (await box.agent(made.id)).id == made.id


BAD = [
    ({"id": "Bad_Id"}, ["agent.id"], "invalid_argument"),
    ({"spec": None}, ["agent.spec"], "invalid_argument"),
    (
        {"program": {"python": {"entrypoint": "os:system"}}},
        ["agent.spec.program.python"],
        "program_not_allowed",
    ),
    ({"program": {"command": {"argv": ["rm"]}}}, ["agent.spec.program.command"], "program_not_allowed"),
    ({"program": {}}, ["agent.spec.program"], "invalid_argument"),
    (
        {"triggers": [{"id": "a", "schedule": {"cron": {"expression": "0 9 * *"}}}]},
        ["agent.spec.triggers[0].schedule.cron.expression"],
        "invalid_argument",
    ),
    (
        {
            "triggers": [
                {"id": "ok", "schedule": {"interval": {"every": "1s"}}},
                {"id": "w", "webhook": {}},
                {"id": "c", "schedule": {"cron": {"expression": "0 0 31 2 *"}}},
            ]
        },
        ["agent.spec.triggers[1].webhook.secrets", "agent.spec.triggers[2].schedule.cron.expression"],
        "invalid_argument",
    ),
    (
        {"triggers": [{"id": "e", "event": {"types": ["x", "nightcrew.agent.*"], "filter": "event.data ="}}]},
        ["agent.spec.triggers[0].event.types[1]", "agent.spec.triggers[0].event.filter"],
        "invalid_argument",
    ),
    (
        {"triggers": [{"id": "r", "resident": {}}, {"id": "s", "resident": {}}]},
        ["agent.spec.triggers[1].resident"],
        "invalid_argument",
    ),
    (
        {"triggers": [{"id": "Bad", "schedule": {"interval": {"every": "1s"}}}]},
        ["agent.spec.triggers[0].id"],
        "",
    ),
    (
        {"triggers": [{"id": "d", "schedule": {"date": {"time": "2020-01-01T00:00:00Z"}}}]},
        ["agent.spec.triggers[0].schedule.date.time"],
        "invalid_argument",
    ),
    (
        {"triggers": [{"id": "i", "schedule": {"interval": {"every": "0.05s"}}}]},
        ["agent.spec.triggers[0].schedule.interval.every"],
        "invalid_argument",
    ),
    (
        {"triggers": [{"id": "z", "schedule": {"interval": {"every": "1s"}, "time_zone": "Mars/Base"}}]},
        ["agent.spec.triggers[0].schedule.time_zone"],
        "invalid_argument",
    ),
    ({"execution": {"timeout": "-3s"}}, ["agent.spec.execution"], "invalid_argument"),
    (
        {"execution": {"retry": {"max_attempts": 0}}},
        ["agent.spec.execution.retry.max_attempts"],
        "invalid_argument",
    ),
    (
        {"execution": {"retry": {"max_attempts": 3, "initial_backoff": "9s", "max_backoff": "1s"}}},
        ["agent.spec.execution.retry.max_backoff"],
        "invalid_argument",
    ),
    (
        {"program": {"python": {"entrypoint": "gateway_programs:plain"}}, "isolation": "ISOLATION_INLINE"},
        ["agent.spec.isolation"],
        "invalid_argument",
    ),
    ({"labels": {"k": "v" * 300}}, ["agent.labels"], "invalid_argument"),
]


@pytest.mark.parametrize(("change", "fields", "reason"), BAD, ids=[" ".join(one[1]) for one in BAD])
async def test_a_wrong_agent_is_refused_by_its_fields(box, change, fields, reason):
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}}
    agent = {"id": "x", "spec": spec}
    for key, value in change.items():
        target = agent if key in {"id", "labels", "spec"} else spec
        target[key] = value
    if agent["spec"] is None:
        del agent["spec"]
    before = len(await box.events_after())
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("CreateAgent", agent=agent)
    assert said[0].fields == fields
    if reason:
        assert said[0].reason == reason
    assert len(await box.events_after()) == before


async def test_numbers_that_json_does_not_know_are_refused_by_their_path(box):
    request = agent_service_pb2.CreateAgentRequest()
    request.agent.id = "x"
    request.agent.spec.program.python.entrypoint = "gateway_programs:echo"
    trigger = request.agent.spec.triggers.add(id="c")
    trigger.schedule.interval.every.seconds = 1
    trigger.input.CopyFrom(Struct())
    trigger.input.update({"a": [1, float("nan")]})
    async with refused("INVALID_ARGUMENT") as said:
        await box.agents.CreateAgent(request)
    assert said[0].fields == ["agent.spec.triggers[0].input.a[1]"]


async def test_an_id_is_taken_once(box):
    await box.create("a")
    async with refused("ALREADY_EXISTS") as said:
        await box.create("a")
    resource = said[0].details["ResourceInfo"]
    assert (resource.resource_type, resource.resource_name) == ("agent", "a")


@pytest.mark.parametrize(
    "method", ["GetAgent", "GetAgentStatus", "DeleteAgent", "StartAgent", "TriggerAgent"]
)
async def test_what_is_not_there_is_not_found(box, method):
    async with refused("NOT_FOUND") as said:
        await box.call(method, id="nobody")
    assert said[0].details["ResourceInfo"].resource_name == "nobody"
    async with refused("INVALID_ARGUMENT") as said:
        await box.call(method)
    assert said[0].fields == ["id"]


async def test_a_mask_changes_what_it_names_and_clears_what_is_unset(box):
    await box.create("a", input={"x": 1, "y": 2}, execution={"timeout": "30s", "max_concurrency": 0})
    changed = await box.call(
        "UpdateAgent",
        agent={"id": "a", "description": "new", "display_name": "not in the mask"},
        update_mask="description",
    )
    assert (changed.agent.description, changed.agent.display_name) == ("new", "")
    assert changed.agent.generation == 1
    assert changed.agent.etag != "r1"
    changed = await box.call(
        "UpdateAgent",
        agent={"id": "a", "spec": {"execution": {"timeout": "5s"}, "input": {"x": 5}}},
        update_mask="spec.execution.timeout,spec.execution.maxConcurrency,spec.input.x",
    )
    spec = as_json(changed.agent)["spec"]
    assert spec["execution"] == {"timeout": "5s"}
    assert spec["input"] == {"x": 5, "y": 2}
    assert changed.agent.generation == 2


async def test_without_a_mask_every_field_that_is_set_changes(box):
    await box.create("a", labels={"team": "ops"})
    changed = (await box.call("UpdateAgent", agent={"id": "a", "description": "new"})).agent
    assert (changed.description, dict(changed.labels)) == ("new", {"team": "ops"})
    # '*' replaces the whole; the program must then be there.
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("UpdateAgent", agent={"id": "a", "description": "x"}, update_mask="*")
    assert said[0].fields == ["agent.spec"]


@pytest.mark.parametrize(
    "path",
    ["state", "spec.nothing", "status", "generation", "etag", "id", "spec.program.python.code", "nonsense"],
)
async def test_a_path_that_cannot_be_set_is_refused(box, path):
    await box.create("a")
    before = as_json(await box.agent("a"))
    request = agent_service_pb2.UpdateAgentRequest()
    request.agent.id = "a"
    request.agent.state = agent_pb2.Agent.STATE_ACTIVE
    request.update_mask.paths.append(path)
    async with refused("INVALID_ARGUMENT") as said:
        await box.agents.UpdateAgent(request)
    assert said[0].fields == ["update_mask"]
    assert as_json(await box.agent("a")) == before


async def test_an_etag_must_match(box):
    agent = await box.create("a")
    changed = (await box.call("UpdateAgent", agent={"id": "a", "etag": agent.etag, "description": "1"})).agent
    assert changed.etag != agent.etag
    for call in (
        box.call("UpdateAgent", agent={"id": "a", "etag": agent.etag, "description": "2"}),
        box.call("DeleteAgent", id="a", etag=agent.etag),
    ):
        async with refused("ABORTED") as said:
            await call
        assert said[0].reason == "etag_mismatch"
    assert (await box.agent("a")).description == "1"
    await box.call("DeleteAgent", id="a", etag=changed.etag)
    async with refused("NOT_FOUND"):
        await box.agent("a")


async def test_an_update_that_changes_nothing_is_no_event(box):
    agent = await box.create("a")
    before = len(await box.events_after())
    same = (
        await box.call("UpdateAgent", agent={"id": "a", "display_name": ""}, update_mask="displayName")
    ).agent
    assert same.etag == agent.etag
    assert len(await box.events_after()) == before


async def test_delete_needs_a_stopped_agent_or_force(box):
    await box.active("a")
    async with refused("FAILED_PRECONDITION") as said:
        await box.call("DeleteAgent", id="a")
    assert dict(said[0].info.metadata) == {"state": "STATE_ACTIVE", "allowed_states": "STATE_STOPPED"}
    answer = await box.call("DeleteAgent", id="a", force=True)
    assert not answer.HasField("agent")
    async with refused("NOT_FOUND"):
        await box.agent("a")
    types = [event.type for event in await box.events_after() if event.agent_id == "a"]
    assert types[-1] == "nightcrew.agent.deleted"


async def test_a_forced_delete_waits_for_what_runs(box):
    await box.active("a", "stubborn")
    execution = await box.trigger("a")
    await box.execution_reaches(execution.id, "STATE_RUNNING")
    answer = await box.call("DeleteAgent", id="a", force=True)
    assert answer.agent.state == agent_pb2.Agent.STATE_STOPPING
    assert answer.agent.status.running_count == 1
    async with refused("FAILED_PRECONDITION") as said:
        await box.trigger("a")
    assert said[0].info.metadata["state"] == "STATE_STOPPING"
    box.gate("a").set()

    async def gone():
        return "a" not in {agent.id for agent in (await box.call("ListAgents")).agents}

    await until(gone, what="the agent is gone")


async def test_a_repeated_request_id_gets_the_first_answer(box):
    request = request_id()
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}}
    first = await box.call("CreateAgent", agent={"spec": spec}, request_id=request)
    again = await box.call("CreateAgent", agent={"spec": spec}, request_id=request)
    assert as_json(again) == as_json(first)
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("CreateAgent", agent={"spec": spec, "description": "other"}, request_id=request)
    assert said[0].fields == ["request_id"]
    assert said[0].reason == "request_id_reused"
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("CreateAgent", agent={"id": "z", "spec": spec}, request_id="no uuid")
    assert said[0].fields == ["request_id"]
    # the same id is another request on another method
    await box.call("StartAgent", id=first.agent.id, request_id=request)
    assert (await box.agent(first.agent.id)).state == agent_pb2.Agent.STATE_ACTIVE


async def test_repeated_deletes_and_updates_happen_once(box):
    await box.create("a")
    update = {"agent": {"id": "a", "description": "1"}, "request_id": request_id()}
    first = (await box.call("UpdateAgent", **update)).agent
    await box.call("UpdateAgent", agent={"id": "a", "description": "2"})
    await box.call("UpdateAgent", **update)
    assert (await box.agent("a")).description == "2"
    assert first.description == "1"
    delete = {"id": "a", "request_id": request_id()}
    await box.call("DeleteAgent", **delete)
    await box.call("DeleteAgent", **delete)
    async with refused("NOT_FOUND"):
        await box.call("DeleteAgent", id="a", request_id=request_id())
    # made anew under the same id: generation 1 again, and not the spec that was kept before
    await box.create("a", "fail")
    assert (await box.agent("a")).spec.program.python.entrypoint == "gateway_programs:fail"


def manifest(agent_id, program="echo", **fields):
    return {
        "id": agent_id,
        "spec": {"program": {"python": {"entrypoint": f"gateway_programs:{program}"}}},
        **fields,
    }


async def test_apply_says_what_it_changes_then_does_it_all(box):
    await box.create("kept", labels={"set": "one"})
    await box.create("changed", labels={"set": "one"})
    await box.create("gone", labels={"set": "one"})
    await box.create("other", labels={"set": "two"})
    wanted = {
        "agents": [
            manifest("new", labels={"set": "one"}),
            manifest("kept", labels={"set": "one"}),
            manifest("changed", labels={"set": "one"}, description="now with words"),
        ],
        "prune_selector": {"set": "one"},
    }
    names = {"new": 1, "changed": 2, "gone": 3, "kept": 4}
    before = len(await box.events_after())
    planned = await box.call("ApplyAgents", **wanted, validate_only=True)
    assert {one.id: one.action for one in planned.changes} == names
    assert len(await box.events_after()) == before
    request = request_id()
    done = await box.call("ApplyAgents", **wanted, request_id=request)
    assert as_json(done) == as_json(planned)
    assert [one.id for one in done.changes] == ["new", "kept", "changed", "gone"]
    (diff,) = [one.diff for one in done.changes if one.id == "changed"]
    assert "+description: now with words" in diff
    ids = {agent.id for agent in (await box.call("ListAgents")).agents}
    assert {"new", "kept", "changed", "other"} <= ids
    assert "gone" not in ids
    # the first answer again, though now nothing would change
    assert as_json(await box.call("ApplyAgents", **wanted, request_id=request)) == as_json(done)
    again = await box.call("ApplyAgents", **wanted)
    assert {one.action for one in again.changes} == {4}


async def test_apply_is_all_or_nothing_and_names_every_fault(box):
    wrong = [manifest("fine"), manifest("Bad Id"), manifest("x", program="nobody"), manifest("fine")]
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("ApplyAgents", agents=wrong)
    assert said[0].fields == ["agents[1].id", "agents[2].spec.program.python", "agents[3].id"]
    async with refused("NOT_FOUND"):
        await box.agent("fine")


async def test_an_error_about_a_thousand_agents_arrives(box):
    async with refused("INVALID_ARGUMENT") as said:
        await box.call("ApplyAgents", agents=[manifest(f"x-{n}", program="nöbody" * 20) for n in range(1000)])
    assert 5 < len(said[0].fields) < 100
    assert "more" in said[0].details["BadRequest"].field_violations[-1].description


async def test_a_status_tells_what_an_agent_is_doing(box):
    await box.active(
        "a",
        "hold",
        triggers=[
            {"id": "far", "schedule": {"date": {"time": "2090-01-01T00:00:00Z"}}},
            {"id": "near", "schedule": {"date": {"time": "2080-01-01T00:00:00Z"}}},
            {"id": "off", "disabled": True, "schedule": {"date": {"time": "2070-01-01T00:00:00Z"}}},
        ],
    )
    first, second = await box.trigger("a"), await box.trigger("a")
    await box.execution_reaches(first.id, "STATE_RUNNING")
    answer = await box.call("GetAgentStatus", id="a")
    assert (answer.status.running_count, answer.status.queued_count) == (1, 1)
    assert [fire.trigger_id for fire in answer.status.next_fires] == ["near", "far"]
    assert answer.state == agent_pb2.Agent.STATE_ACTIVE
    box.gate("a").set()
    await box.execution_reaches(second.id, "STATE_SUCCEEDED")
    status = (await box.agent("a")).status
    assert (status.running_count, status.queued_count) == (0, 0)
    assert status.last_execution.id == second.id
    assert as_json(status.last_execution)["state"] == "STATE_SUCCEEDED"
    listed = {agent.id: agent for agent in (await box.call("ListAgents")).agents}
    assert as_json(listed["a"].status) == as_json(status)
