"""The real Langflow flows over real gRPC: right answers, many at once, tokens as they come, a cancel that is quick."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.harness.fixtures import FLOWS
from tests.harness.waiting import eventually, everything

from nightcrew.client import Client

pytestmark = pytest.mark.langflow

ANSWERS = {
    "hello-world": ({"input_value": "x"}, "Hello, World!"),
    "prompt-echo": ({"input_value": "hello"}, "You said: hello! Reply politely."),
    "fake-lm-stream": ({"input_value": "x"}, "alpha beta gamma delta"),
    "slow-sleep": ({"input_value": "x", "tweaks": {"Slow-1": {"secs": 0.1}}}, "done x"),
    "schedule-digest": (
        {
            "input_value": "",
            "tweaks": {
                "ScheduleTrigger-1": {"event_payload": json.dumps({"kind": "test", "scheduled_at": "noon"})}
            },
        },
        "fired kind=test at=noon",
    ),
}


async def test_the_flows(up, agents):
    """One runtime for all of it: a worker needs seconds to load lfx."""
    crew = up(*FLOWS, agents("modules")).start()
    async with Client(crew.address, timeout=60) as client:
        there = {one.id: one for one in await everything(client.agents.list())}
        assert {one: there[one].state for one in there} == dict.fromkeys(
            (*ANSWERS, "modules"), "STATE_ACTIVE"
        )
        await every_flow_answers(client)
        await fifty_at_once_are_told_apart(client)
        await tokens_are_streamed(client)
        await a_cancel_is_quick(client)
        loaded = (await client.agents.trigger("modules", wait=10)).result
    assert loaded["pid"] == crew.pid
    assert {"nightcrew", "grpc"} <= {*loaded["packages"]}
    assert "lfx" not in loaded["packages"], "lfx is loaded in workers only"
    crew.stop()


async def every_flow_answers(client):
    assert {path.stem.replace("_", "-") for path in FLOWS} == {*ANSWERS}
    names = list(ANSWERS)
    done = await asyncio.gather(*(client.agents.trigger(name, ANSWERS[name][0], wait=60) for name in names))
    for name, execution in zip(names, done, strict=True):
        assert execution.state == "STATE_SUCCEEDED", (name, execution.error)
        assert execution.result["text"] == ANSWERS[name][1]


async def fifty_at_once_are_told_apart(client):
    await client.agents.update(
        "prompt-echo",
        {"spec": {"execution": {"max_concurrency": 50}}},
        mask=["spec.execution.max_concurrency"],
    )
    begin = time.monotonic()
    done = await asyncio.gather(
        *(client.agents.trigger("prompt-echo", {"input_value": f"n{n}"}, wait=60) for n in range(50))
    )
    answers = [one.result["text"] for one in done]
    assert answers == [f"You said: n{n}! Reply politely." for n in range(50)]
    print(f"50 runs of prompt_echo at once: {time.monotonic() - begin:.1f} s")


async def tokens_are_streamed(client):
    begun = await client.agents.trigger("fake-lm-stream", {"input_value": "x"})
    async with client.executions.watch(begun.id) as watch:
        items = [item async for item in watch]
    tokens = [item.message for item in items if getattr(item, "stream", "") == "STREAM_TOKEN"]
    assert len(tokens) == 7
    assert "".join(tokens) == "alpha beta gamma delta"


async def a_cancel_is_quick(client):
    begun = await client.agents.trigger("slow-sleep", {"input_value": "x"})
    # Its own words would not tell: after half a second in a warm worker it is in its sleep of four seconds.
    await eventually(
        lambda: client.executions.get(begun.id),
        lambda seen: datetime.now(UTC) - seen.start_time > timedelta(seconds=0.5),
        what="a run in its midst",
    )
    begin = time.monotonic()
    await client.executions.cancel(begun.id, reason="test")
    ended = await asyncio.wait_for(client.executions.wait(begun.id), 10)
    print(f"slow_sleep ended {time.monotonic() - begin:.2f} s after its cancel")
    assert ended.state == "STATE_CANCELLED"
