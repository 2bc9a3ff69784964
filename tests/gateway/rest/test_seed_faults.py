"""The faults of the seed system's background agents, each shown not to be here: over HTTP, on a real store."""

import base64
import hmac
import json
import time
import uuid

import pytest
from tests.gateway.rest.conftest import resting
from tests.gateway.support.gateway_box import until

OFTEN = {"seconds": 0.1}


def signed(body, secret):
    """A delivery as Standard Webhooks has it."""
    content, delivery, moment = json.dumps(body), f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{delivery}.{moment}.{content}".encode(), "sha256")
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "content-type": "application/json",
    }
    return {"content": content, "headers": headers}


async def test_a_trigger_takes_a_payload_that_reaches_the_run(rest):
    agent_id = await rest.active("echo", input_config={"input_value": "mine", "kept": 1})
    execution = await rest.ended(
        agent_id, await rest.trigger(agent_id, {"input_value": "yours", "more": [2]})
    )
    assert execution["result"] == {"input_value": "yours", "kept": 1, "more": [2]}
    without = await rest.ended(agent_id, await rest.trigger(agent_id))
    assert without["result"] == {"input_value": "mine", "kept": 1}


async def test_a_webhook_trigger_is_dispatched(rest):
    made = await rest.create("echo", "WEBHOOK", input_config={"kept": 1})
    agent_id, secret = made["id"], made["webhook_secret"]
    assert made["webhook_url"] == str(rest.client.base_url.join(f"/hooks/{agent_id}/webhook"))
    assert (await rest.agent(agent_id))["webhook_secret"] is None, "shown once"
    await rest.call("POST", f"/{agent_id}/start")
    answer = await rest.client.post(made["webhook_url"], **signed({"order": 7}, secret))
    assert answer.status_code == 202
    execution = await rest.ended(agent_id, answer.json()["execution_id"])
    assert execution["trigger_source"] == "webhook"
    assert execution["result"]["webhook"]["body"] == {"order": 7}
    assert execution["result"]["kept"] == 1
    forged = await rest.client.post(made["webhook_url"], **signed({"order": 8}, "whsec_bm90IG15IHNlY3JldA=="))
    assert forged.status_code == 401
    assert len(await rest.executions(agent_id)) == 1


async def test_a_webhook_has_the_secret_that_it_is_given(rest):
    mine, other = (
        "whsec_bXkgb3duIHNlY3JldCBvZiBtYW55IGJ5dGVz",
        "whsec_YW5vdGhlciBzZWNyZXQgb2YgbWFueSBieXRlcw==",
    )
    made = await rest.create("echo", "WEBHOOK", {"secret": mine})
    assert (made["trigger_config"], made["webhook_secret"]) == ({}, None)
    await rest.call("POST", f"/{made['id']}/start")

    async def call(secret):
        return (await rest.client.post(made["webhook_url"], **signed({}, secret))).status_code

    assert (await call(mine), await call(other)) == (202, 401)
    for same in ({"name": "x"}, {"trigger_config": {}}, await rest.agent(made["id"])):
        changed = await rest.call("PATCH", f"/{made['id']}", json=same)
        assert changed["webhook_secret"] is None
        assert (await call(mine), await call(other)) == (202, 401), "it is kept"
    await rest.call("PATCH", f"/{made['id']}", json={"trigger_config": {"secret": other}})
    assert (await call(mine), await call(other)) == (401, 202)
    refused = await rest.call(
        "PATCH", f"/{made['id']}", json={"trigger_config": {"secret": "whsec_"}}, status=422
    )
    assert refused["detail"][0]["loc"] == ["body", "trigger_config", "secret"]


async def test_another_agent_becomes_a_webhook_with_a_secret_that_is_shown_once(rest):
    agent_id = await rest.active("echo")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    hooked = await rest.call("PATCH", f"/{agent_id}", json={"trigger_type": "WEBHOOK"}, headers=key)
    answer = await rest.client.post(hooked["webhook_url"], **signed({}, hooked["webhook_secret"]))
    assert answer.status_code == 202
    again = await rest.call("PATCH", f"/{agent_id}", json={"trigger_type": "WEBHOOK"}, headers=key)
    assert again["webhook_secret"] is None
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = [await rest.create("echo", "WEBHOOK", name="w", headers=key) for _ in range(2)]
    assert (first["id"], second["webhook_secret"]) == (second["id"], None)


async def published(rest, kind, data=None, source="/shop"):
    event = {"specversion": "1.0", "id": uuid.uuid4().hex, "source": source, "type": kind, "data": data}
    headers = {"content-type": "application/cloudevents+json"}
    answer = await rest.client.post("/events", content=json.dumps(event), headers=headers)
    assert answer.status_code == 202, answer.text


async def test_an_event_trigger_is_dispatched(rest):
    config = {"type": "shop.order.*", "source": "/shop", "filter": "event.data.total > 100"}
    agent_id = await rest.active("echo", "EVENT", config, input_config={"kept": 1})
    await published(rest, "shop.order.created", {"total": 50})
    await published(rest, "shop.refund", {"total": 500})
    await published(rest, "shop.order.created", {"total": 500}, source="/other")
    await published(rest, "shop.order.created", {"total": 101})
    (execution,) = await rest.fired(agent_id, source="event")
    assert execution["result"]["event"]["data"] == {"total": 101}
    assert execution["result"]["kept"] == 1
    assert (await rest.call("GET", f"/{agent_id}/status"))["next_run_at"] is None


async def test_an_event_trigger_without_a_type_runs_at_what_is_published(rest):
    """And not at the outcomes of others: these two would run for each other without end."""
    agents = [await rest.active("echo", "EVENT") for _ in range(2)]
    await published(rest, "first")
    for agent_id in agents:
        await rest.fired(agent_id, source="event")
    await published(rest, "second")
    for agent_id in agents:
        runs = await rest.fired(agent_id, 2, source="event")
        assert [one["result"]["event"]["type"] for one in runs] == ["second", "first"]


async def test_an_event_or_a_webhook_wakes_no_agent_that_is_stopped_or_not_enabled(rest):
    stopped = (await rest.create("echo", "EVENT"))["id"]
    off = await rest.active("echo", "EVENT")
    await rest.call("PATCH", f"/{off}", json={"enabled": False})
    witness = await rest.active("echo", "EVENT")
    await published(rest, "first")
    await rest.fired(witness, source="event")
    assert await rest.executions(stopped) == await rest.executions(off) == []
    hook = await rest.create("echo", "WEBHOOK")
    delivery = signed({}, hook["webhook_secret"])
    assert (await rest.client.post(hook["webhook_url"], **delivery)).status_code == 409
    await rest.call("PATCH", f"/{hook['id']}", json={"enabled": False})
    assert (await rest.client.post(hook["webhook_url"], **delivery)).status_code == 404
    await rest.call("PATCH", f"/{hook['id']}", json={"enabled": True})
    await rest.call("POST", f"/{hook['id']}/start")
    assert (await rest.client.post(hook["webhook_url"], **delivery)).status_code == 202


async def test_the_source_of_a_run_is_what_made_it(rest):
    agent_id = await rest.active("echo", config=OFTEN)
    await rest.trigger(agent_id)
    await rest.trigger(agent_id, {"x": 1}, params={"trigger_source": "deploy-bot"})
    await rest.fired(agent_id, 1, source="scheduled")
    await rest.fired(agent_id, 1, source="manual")
    await rest.fired(agent_id, 1, source="deploy-bot")


async def test_a_paused_agent_that_is_resumed_after_a_restart_runs_again(tmp_path):
    async with resting(tmp_path / "data") as rest:
        agent_id = await rest.active("echo", config=OFTEN)
        await rest.fired(agent_id)
        await rest.call("POST", f"/{agent_id}/pause")
        assert (await rest.agent(agent_id))["next_run_at"] is None
    async with resting(tmp_path / "data") as rest:
        assert (await rest.agent(agent_id))["status"] == "PAUSED"
        before = len(await rest.executions(agent_id))
        assert await rest.call("POST", f"/{agent_id}/resume") == {"status": "active", "agent_id": agent_id}
        assert (await rest.agent(agent_id))["next_run_at"]
        await rest.fired(agent_id, before + 2)


async def test_a_failed_run_is_no_error_of_the_agent(rest):
    agent_id = await rest.active("fail", config=OFTEN)
    failed = await rest.fired(agent_id, 2)
    assert {(one["status"], one["error_message"]) for one in failed} == {("FAILED", "boom")}
    status = await rest.call("GET", f"/{agent_id}/status")
    assert status["status"] == "ACTIVE"
    assert status["next_run_at"]


async def test_an_agent_in_error_does_not_go_on_firing(rest):
    agent_id = (await rest.create("fail", config=OFTEN))["id"]
    policy = {"execution": {"pause_after_failures": 2}}
    mask = "spec.execution"
    await rest.box.call("UpdateAgent", agent={"id": agent_id, "spec": policy}, update_mask=mask)
    await rest.call("POST", f"/{agent_id}/start")

    async def status():
        return (await rest.agent(agent_id))["status"] == "ERROR"

    await until(status, what="ERROR after two failures")
    assert len(await rest.executions(agent_id)) == 2
    shown = await rest.agent(agent_id)
    assert (shown["next_run_at"], shown["enabled"]) == (None, True)
    assert (await rest.call("POST", f"/{agent_id}/trigger", status=409))["detail"]


async def test_an_update_reschedules(rest):
    agent_id = await rest.active("echo", config={"weeks": 50})
    far = (await rest.agent(agent_id))["next_run_at"]
    near = await rest.call("PATCH", f"/{agent_id}", json={"trigger_config": OFTEN})
    assert near["next_run_at"] < far
    await rest.fired(agent_id, 2)
    cron = {"trigger_type": "CRON", "trigger_config": {"minute": 0, "hour": 9, "day": 1, "month": 1}}
    changed = await rest.call("PATCH", f"/{agent_id}", json=cron)
    assert changed["next_run_at"].endswith("-01-01T09:00:00+00:00")
    assert (changed["trigger_type"], changed["trigger_config"]) == ("CRON", cron["trigger_config"])


async def test_an_update_can_not_set_the_status(rest):
    agent_id = (await rest.create())["id"]
    refused = await rest.call("PATCH", f"/{agent_id}", json={"status": "ACTIVE", "name": "x"}, status=422)
    assert [one["loc"] for one in refused["detail"]] == [["body", "status"]]
    after = await rest.agent(agent_id)
    assert (after["status"], after["name"]) == ("STOPPED", "my echo")


async def test_stop_ends_the_run_in_flight(rest):
    agent_id = await rest.active("hold")
    execution_id = await rest.trigger(agent_id)
    await rest.box.execution_reaches(execution_id, "STATE_RUNNING")
    assert await rest.call("POST", f"/{agent_id}/stop") == {"status": "stopped", "agent_id": agent_id}
    assert (await rest.agent(agent_id))["status"] == "STOPPED"
    execution = await rest.execution(agent_id, execution_id)
    assert execution["status"] == "CANCELLED"
    assert execution["completed_at"]
    assert (await rest.call("POST", f"/{agent_id}/start"))["status"] == "started", "at once, as in the seed"


async def test_no_run_stays_running_over_an_end_of_the_runtime(tmp_path):
    async with resting(tmp_path / "data") as rest:
        agent_id = await rest.active("hold")
        execution_id = await rest.trigger(agent_id)
        await rest.box.execution_reaches(execution_id, "STATE_RUNNING")
        rest.box.runtime.stop()  # nothing is written of what runs
    async with resting(tmp_path / "data") as rest:
        rest.box.gate(agent_id).set()
        execution = await rest.ended(agent_id, execution_id)
        assert (execution["status"], execution["result"]) == ("SUCCESS", "let go")


@pytest.mark.parametrize("how", ["made so", "changed while it runs"])
async def test_enabled_is_heeded(rest, how):
    if how == "made so":
        agent_id = (await rest.create("echo", config=OFTEN, enabled=False))["id"]
    else:
        agent_id = await rest.active("echo", config=OFTEN)
        await rest.fired(agent_id)
        await rest.call("PATCH", f"/{agent_id}", json={"enabled": False})
        await rest.call("POST", f"/{agent_id}/pause")
    for verb in ("start", "resume", "trigger"):
        refused = await rest.call("POST", f"/{agent_id}/{verb}", status=409)
        assert "not enabled" in refused["detail"]
    shown = await rest.agent(agent_id)
    assert (shown["enabled"], shown["next_run_at"]) == (False, None)
    before = len(await rest.executions(agent_id))
    await rest.call("PATCH", f"/{agent_id}", json={"enabled": True})
    await rest.call("POST", f"/{agent_id}/{'start' if how == 'made so' else 'resume'}")
    await rest.fired(agent_id, before + 1)


async def test_what_is_not_enabled_does_not_fire_while_it_is_active(rest):
    agent_id = await rest.active("echo", config=OFTEN)
    await rest.fired(agent_id)
    await rest.call("PATCH", f"/{agent_id}", json={"enabled": False})
    other = await rest.active("echo", config=OFTEN)  # shows that time goes on
    before = await rest.executions(agent_id)
    await rest.fired(other, 3)
    assert [one["id"] for one in await rest.executions(agent_id)] == [one["id"] for one in before]


async def test_the_list_of_executions_has_their_results(rest):
    agent_id = await rest.active("echo", input_config={"input_value": "hi"})
    await rest.ended(agent_id, await rest.trigger(agent_id))
    (execution,) = await rest.executions(agent_id)
    assert execution["result"] == {"input_value": "hi"}


async def test_refusals_are_not_500(rest):
    agent_id = (await rest.create())["id"]
    for verb in ("pause", "resume", "trigger"):
        assert (await rest.call("POST", f"/{agent_id}/{verb}", status=409))["detail"]
    for verb in ("start", "stop", "pause", "resume", "trigger"):
        assert (await rest.call("POST", f"/nobody/{verb}", status=404))["detail"]
    for path in ("/nobody", "/nobody/status", "/nobody/executions", f"/{agent_id}/executions/none"):
        assert (await rest.call("GET", path, status=404))["detail"]
    assert (await rest.call("POST", "/", json={}, status=422))["detail"]
    assert (await rest.call("POST", "/", content=b"{", status=400))["detail"]
