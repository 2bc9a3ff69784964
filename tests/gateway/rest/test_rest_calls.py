"""REST over HTTP: each call's answer as the contract writes it."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from tests.gateway.rest.conftest import CREATE

from nightcrew.gateway.web.rest.answers import AgentRead, AgentState, ExecutionList, ExecutionRead
from nightcrew.gateway.web.rest.handlers import AGENTS_AT_ONCE
from nightcrew.gateway.web.rest.operations import PREFIX


def fits(answer, model):
    """The answer has just the fields of its model, and they are of their types."""
    assert set(answer) == set(model.model_fields)
    model.model_validate(answer)
    return answer


async def test_the_whole_life_of_an_agent(rest):
    made = fits(await rest.call("POST", json=CREATE, status=201), AgentRead)
    agent_id = made["id"]
    assert str(uuid.UUID(agent_id)) == agent_id, "the seed's callers may read it as a UUID"
    assert {name: made[name] for name in CREATE} == CREATE
    assert (made["status"], made["last_run_at"], made["next_run_at"]) == ("STOPPED", None, None)
    assert await rest.agent(agent_id) == made

    started = await rest.call("POST", f"/{agent_id}/start")
    assert set(started) == {"status", "agent_id", "next_run_at"}
    assert (started["status"], started["agent_id"]) == ("started", agent_id)
    next_run = datetime.fromisoformat(started["next_run_at"])
    assert (next_run.hour, next_run.minute, next_run.utcoffset()) == (9, 0, timedelta(0))
    assert next_run.weekday() < 5

    triggered = await rest.call("POST", f"/{agent_id}/trigger")
    assert triggered == {
        "status": "triggered",
        "agent_id": agent_id,
        "execution_id": triggered["execution_id"],
    }
    execution = fits(await rest.ended(agent_id, triggered["execution_id"]), ExecutionRead)
    assert execution["id"] == execution["execution_id"] == triggered["execution_id"]
    assert execution["agent_id"] == agent_id
    assert (execution["status"], execution["result"]) == ("SUCCESS", CREATE["input_config"])
    assert (execution["trigger_source"], execution["error_message"]) == ("manual", None)
    assert execution["started_at"] <= execution["completed_at"]
    listed = fits(await rest.call("GET", f"/{agent_id}/executions"), ExecutionList)
    assert listed == {"executions": [execution], "count": 1, "total": 1}

    assert await rest.call("POST", f"/{agent_id}/pause") == {"status": "paused", "agent_id": agent_id}
    status = fits(await rest.call("GET", f"/{agent_id}/status"), AgentState)
    assert status == {
        "agent_id": agent_id,
        "name": "Morning digest",
        "status": "PAUSED",
        "enabled": True,
        "trigger_type": "CRON",
        "last_run_at": execution["started_at"],
        "next_run_at": None,
    }
    assert await rest.call("POST", f"/{agent_id}/resume") == {"status": "active", "agent_id": agent_id}
    assert (await rest.call("GET", f"/{agent_id}/status"))["next_run_at"] == started["next_run_at"]
    assert await rest.call("POST", f"/{agent_id}/stop") == {"status": "stopped", "agent_id": agent_id}
    assert await rest.call("DELETE", f"/{agent_id}", status=204) is None
    for path in ("", "/status", "/executions", f"/executions/{execution['id']}"):
        await rest.call("GET", f"/{agent_id}{path}", status=404)
    await rest.call("DELETE", f"/{agent_id}", status=404)


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_slash_at_the_end_changes_nothing(rest, slash):
    made = await rest.client.post(f"{PREFIX}{slash}", json=CREATE)
    agent_id = made.json()["id"]
    for method, path, status in (
        ("GET", "", 200),
        ("GET", f"/{agent_id}", 200),
        ("PATCH", f"/{agent_id}", 200),
        ("POST", f"/{agent_id}/start", 200),
        ("POST", f"/{agent_id}/pause", 200),
        ("POST", f"/{agent_id}/resume", 200),
        ("POST", f"/{agent_id}/trigger", 200),
        ("GET", f"/{agent_id}/status", 200),
        ("GET", f"/{agent_id}/executions", 200),
        ("POST", f"/{agent_id}/stop", 200),
        ("DELETE", f"/{agent_id}", 204),
    ):
        body = {"json": {}} if method == "PATCH" else {}
        answer = await rest.client.request(method, f"{PREFIX}{path}{slash}", **body)
        assert answer.status_code == status, (method, path, answer.text)


async def test_agents_are_listed_wherever_they_were_made(rest):
    elsewhere = {one["id"]: one for one in await rest.call("GET")}
    assert set(elsewhere) >= {"echo", "hold", "fail"}
    assert (elsewhere["echo"]["trigger_type"], elsewhere["echo"]["flow_id"]) == (
        None,
        "gateway_programs:echo",
    )
    mine = [await rest.create("echo"), await rest.create("gateway_programs:echo"), await rest.create("hold")]
    newest = [one["id"] for one in await rest.call("GET")][:3]
    assert newest == [one["id"] for one in reversed(mine)]
    for flow_id in ("echo", "gateway_programs:echo"):
        found = {one["id"] for one in await rest.call("GET", f"/?flow_id={flow_id}")}
        assert found == {"echo", mine[0]["id"], mine[1]["id"]}
    assert await rest.call("GET", "/?flow_id=nothing") == []
    assert len(await rest.call("GET", "/?flow_id=")) == len(elsewhere) + 3
    # They can be used by their own ids too.
    assert (await rest.call("POST", "/echo/start"))["next_run_at"] is None
    execution = await rest.ended("echo", await rest.trigger("echo", {"a": 1}))
    assert execution["result"] == {"a": 1}


async def test_lists_of_any_length(rest):
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}}
    many = [f"many-{n:03}" for n in range(2 * AGENTS_AT_ONCE + 30)]
    await rest.box.call("ApplyAgents", agents=[{"id": agent_id, "spec": spec} for agent_id in many])
    found = [one["id"] for one in await rest.call("GET")]
    assert len(found) == len(set(found))
    assert set(many) <= set(found)


async def test_an_agent_that_is_being_deleted_is_gone(rest):
    agent_id = await rest.active("stubborn")
    execution_id = await rest.trigger(agent_id)
    await rest.box.execution_reaches(execution_id, "STATE_RUNNING")
    await rest.call("DELETE", f"/{agent_id}", status=204)
    assert await rest.box.state(agent_id) == "STATE_STOPPING", "its run does not heed the cancel"
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/status"),
        ("GET", "/executions"),
        ("GET", f"/executions/{execution_id}"),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/pause"),
        ("POST", "/trigger"),
    ):
        sent = {"json": {"name": "x"}} if method == "PATCH" else {}
        await rest.call(method, f"/{agent_id}{path}", status=404, **sent)
    await rest.call("DELETE", f"/{agent_id}", status=204)
    assert agent_id not in {one["id"] for one in await rest.call("GET")}


async def test_a_stop_that_its_run_does_not_heed_is_answered_all_the_same(rest, monkeypatch):
    monkeypatch.setattr("nightcrew.gateway.web.rest.handlers.STOP_WAIT", 0.05)
    agent_id = await rest.active("stubborn")
    execution_id = await rest.trigger(agent_id)
    await rest.box.execution_reaches(execution_id, "STATE_RUNNING")
    await rest.call("POST", f"/{agent_id}/stop")
    assert (await rest.agent(agent_id))["status"] == "STOPPED"
    assert "STOPPING" in (await rest.call("POST", f"/{agent_id}/start", status=409))["detail"]
    rest.box.gate(agent_id).set()
    await rest.box.reaches(agent_id, "STATE_STOPPED")
    assert (await rest.execution(agent_id, execution_id))["status"] == "SUCCESS", "it returned in its grace"


async def test_executions_by_limit_and_offset(rest):
    agent_id = await rest.active("echo")
    made = [await rest.trigger(agent_id, {"n": n}) for n in range(12)]
    await rest.ended(agent_id, made[-1])
    newest_first = made[::-1]

    async def ids(query):
        answer = await rest.call("GET", f"/{agent_id}/executions{query}")
        assert answer["count"] == len(answer["executions"])
        assert answer["total"] == 12
        return [one["id"] for one in answer["executions"]]

    assert await ids("") == newest_first[:10]
    assert await ids("?limit=5") == newest_first[:5]
    assert await ids("?limit=5&offset=10") == newest_first[10:]
    assert await ids("?limit=5000") == newest_first
    assert await ids("?offset=12") == await ids("?limit=0") == []
    assert (await rest.execution(agent_id, made[7]))["result"] == {"n": 7}
    for query in ("limit=-1", "limit=x", "limit=1.5", "offset=-1", f"offset={10**30}", "limt=5", "limit="):
        refused = await rest.call("GET", f"/{agent_id}/executions?{query}", status=422)
        assert refused["detail"][0]["loc"] == ["query", query.partition("=")[0]]
    other = await rest.active("echo")
    await rest.call("GET", f"/{other}/executions/{made[0]}", status=404)


async def test_large_results_are_listed_whole(rest):
    agent_id = await rest.active("big")
    made = [await rest.trigger(agent_id, {"size": 300_000}) for _ in range(20)]
    await rest.ended(agent_id, made[-1])
    found = await rest.executions(agent_id)
    assert [len(one["result"]) for one in found] == [300_000] * 20


async def test_states_of_executions(rest):
    agent_id = await rest.active("hold")
    running, waiting = await rest.trigger(agent_id), await rest.trigger(agent_id)
    await rest.box.execution_reaches(running, "STATE_RUNNING")
    queued = await rest.execution(agent_id, waiting)
    assert (queued["status"], queued["completed_at"]) == ("RUNNING", None)
    assert (await rest.execution(agent_id, running))["status"] == "RUNNING"
    await rest.box.call("CancelExecution", id=waiting)
    assert (await rest.execution(agent_id, waiting))["status"] == "CANCELLED"
    mask = "spec.execution"
    await rest.box.call(
        "UpdateAgent", agent={"id": agent_id, "spec": {"execution": {"timeout": "0.05s"}}}, update_mask=mask
    )
    rest.box.gate(agent_id).set()
    assert (await rest.ended(agent_id, running))["status"] == "SUCCESS"
    rest.box.gate(agent_id).clear()
    late = await rest.ended(agent_id, await rest.trigger(agent_id))
    assert late["status"] == "TIMED_OUT"
    assert late["error_message"]
    assert (await rest.agent(agent_id))["last_run_at"] == late["started_at"]


async def test_a_full_backlog_is_429(rest):
    agent_id = await rest.active("hold")
    spec = {"execution": {"max_backlog": 1}}
    await rest.box.call("UpdateAgent", agent={"id": agent_id, "spec": spec}, update_mask="spec.execution")
    await rest.trigger(agent_id)
    await rest.trigger(agent_id)
    answer = await rest.client.post(f"{PREFIX}/{agent_id}/trigger")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "backlog" in answer.json()["detail"]


async def test_a_call_that_is_repeated_with_its_key_happens_once(rest):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = await rest.call("POST", json=CREATE, headers=key, status=201)
    again = await rest.call("POST", "", json=CREATE, headers=key, status=201)
    assert again["id"] == first["id"]
    await rest.call("POST", json={**CREATE, "name": "other"}, headers=key, status=422)
    agent_id = first["id"]
    await rest.call("POST", f"/{agent_id}/start", headers=key)
    made = {await rest.trigger(agent_id, {"n": 1}, headers=key) for _ in range(3)}
    assert len(made) == 1
    assert len(await rest.executions(agent_id)) == 1
    await rest.call("PATCH", f"/{agent_id}", json={"enabled": False})
    assert await rest.trigger(agent_id, {"n": 1}, headers=key) in made, "the first answer, whatever holds now"
    for _ in range(2):
        await rest.call("DELETE", f"/{agent_id}", headers=key, status=204)
    await rest.call("DELETE", f"/{agent_id}", status=404)
    agent_id = (await rest.create())["id"]
    refused = await rest.call("POST", f"/{agent_id}/trigger", headers={"Idempotency-Key": "mine"}, status=422)
    assert refused["detail"][0]["loc"] == ["header", "Idempotency-Key"]


async def test_updates_at_once_lose_nothing(rest):
    agent_id = (await rest.create())["id"]
    # The last two meet: both are kept in the trigger.
    bodies = [
        *({"name": "N"}, {"description": "D"}, {"input_config": {"i": 1}}),
        *({"trigger_config": {"days": 3}}, {"enabled": False}),
    ]
    await asyncio.gather(*(rest.call("PATCH", f"/{agent_id}", json=body) for body in bodies))
    after = await rest.agent(agent_id)
    for body in bodies:
        assert {name: after[name] for name in body} == body


async def test_what_was_read_can_be_sent_back(rest):
    agent_id = (await rest.create())["id"]
    read = await rest.agent(agent_id)
    assert await rest.call("PATCH", f"/{agent_id}", json=read) == read
    copy = await rest.call("POST", json=read, status=201)
    assert copy["id"] != agent_id
    differing = {"id", "created_at", "updated_at"}
    assert {k: v for k, v in copy.items() if k not in differing} == {
        k: v for k, v in read.items() if k not in differing
    }


async def test_a_date_runs_once(rest):
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    agent_id = await rest.active("echo", "DATE", {"run_date": soon.isoformat()})
    assert (await rest.agent(agent_id))["next_run_at"] == soon.isoformat()
    await rest.fired(agent_id)
    assert (await rest.agent(agent_id))["next_run_at"] is None
    # It has passed, and an update of something else is no reason to refuse it.
    await rest.call("PATCH", f"/{agent_id}", json={"name": "done"})
