"""The real flows in a real worker: right answers, tokens, cancel, tweaks, sessions, failures."""

import asyncio
import contextlib
import dataclasses
import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from tests.hosts.support.desk import DESK

from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.program import LangflowProgram, SessionMode
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings
from nightcrew.ports.host import Cancelled, Failed, NotLoaded, Succeeded

pytestmark = [pytest.mark.langflow, pytest.mark.asyncio(loop_scope="module")]


FLOWS = Path(__file__).parent.parent / "data" / "flows"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host():
    made = ProcessHost(ProcessSettings(workers=1))
    ready = asyncio.Event()
    life = asyncio.create_task(made.serve(ready.set))
    await ready.wait()
    yield made
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life


async def run(host, job, sink):
    async with asyncio.timeout(60):
        outcome = await host.run(job, sink, DESK)
    assert isinstance(outcome, Succeeded), outcome
    return json.loads(outcome.result)


@pytest.mark.parametrize(
    ("flow", "given", "text"),
    [
        ("hello-world", {}, "Hello, World!"),
        ("prompt_echo", {"input_value": "hello"}, "You said: hello! Reply politely."),
        ("fake_lm_stream", {"input_value": "x"}, "alpha beta gamma delta"),
        ("slow_sleep", {"input_value": "x", "tweaks": {"Slow-1": {"secs": 0.1}}}, "done x"),
        (
            "schedule_digest",
            {
                "tweaks": {
                    "ScheduleTrigger-1": {"event_payload": '{"kind": "schedule", "scheduled_at": "now"}'}
                }
            },
            "fired kind=schedule at=now",
        ),
    ],
)
async def test_the_five_flows(host, programs, sink, flow, given, text):
    result = await run(host, programs.flow(flow, given=given), sink)
    assert result["text"] == text
    assert [one["message"] for one in result["messages"]] == [text]


async def test_fifty_at_once_give_fifty_right_answers(host, programs, sink):
    jobs = [programs.flow("prompt_echo", given={"input_value": f"number {n}"}) for n in range(50)]
    results = await asyncio.gather(*[run(host, job, sink) for job in jobs])
    assert [one["text"] for one in results] == [f"You said: number {n}! Reply politely." for n in range(50)]
    assert {one["messages"][0]["session_id"] for one in results} == {job.execution_id for job in jobs}


@pytest.mark.parametrize(
    "tweaks", [None, {"FakeLM-1": {"reply": "alpha beta gamma delta"}}, {"stream": True}]
)
async def test_tokens(host, programs, sink, tweaks):
    given = {"input_value": "x"} | ({"tweaks": tweaks} if tweaks else {})
    await run(host, programs.flow("fake_lm_stream", given=given), sink)
    assert sink.messages(LogStream.TOKEN) == ["alpha", " ", "beta", " ", "gamma", " ", "delta"]


async def test_a_caller_may_switch_streaming_off(host, programs, sink):
    for tweaks in ({"stream": False}, {"FakeLM-1": {"stream": False}}):
        result = await run(host, programs.flow("fake_lm_stream", given={"tweaks": tweaks}), sink)
        assert result["text"] == "alpha beta gamma delta"
        assert sink.messages(LogStream.TOKEN) == []


async def test_cancel_within_a_second(host, programs, sink, until, tmp_path):
    job = edited(
        tmp_path,
        programs,
        lambda code: code.replace("await asyncio.sleep", "print('asleep'); await asyncio.sleep"),
    )
    job = dataclasses.replace(job, input={"input_value": "x", "tweaks": {"Slow-1": {"secs": 600}}})
    running = asyncio.create_task(host.run(job, sink, DESK))
    await until(lambda: sink.messages(LogStream.STDOUT) == ["asleep"])
    began = time.monotonic()
    host.cancel(job.execution_id, job.lease)
    assert await running == Cancelled()
    assert time.monotonic() - began < 1


async def test_a_fire_fills_the_schedule_trigger(host, programs, sink):
    fire = TriggerRef(
        kind=TriggerKind.SCHEDULE, trigger_id="cron", nominal_time=datetime(2026, 1, 5, 8, tzinfo=UTC)
    )
    result = await run(host, programs.flow("schedule_digest", trigger=fire), sink)
    assert result["text"] == "fired kind=schedule at=2026-01-05T08:00:00Z"
    other = TriggerRef(
        kind=TriggerKind.SCHEDULE, trigger_id="interval", nominal_time=datetime(2026, 1, 6, tzinfo=UTC)
    )
    result = await run(host, programs.flow("schedule_digest", trigger=other), sink)
    assert result["text"] == "fired kind=schedule at=2026-01-06T00:00:00Z"


async def test_program_tweaks_and_the_callers(host, programs, sink):
    program = LangflowProgram(flow="slow_sleep", tweaks={"Slow-1": {"secs": 0, "x": "mine"}})
    result = await run(host, programs.flow("slow_sleep", program=program), sink)
    assert result["text"] == "done "
    program = LangflowProgram(flow="slow_sleep", tweaks={"Slow-1": {"secs": 600}})
    given = {"input_value": "y", "tweaks": {"Slow-1": {"secs": 0}}}
    assert (await run(host, programs.flow("slow_sleep", program=program, given=given), sink))[
        "text"
    ] == "done y"


async def test_sessions(host, programs, sink):
    shared = LangflowProgram(flow="prompt_echo", session=SessionMode.PER_AGENT)
    result = await run(host, programs.flow("prompt_echo", program=shared), sink)
    assert result["messages"][0]["session_id"] == "agent:flow-agent"
    result = await run(host, programs.flow("prompt_echo", given={"session_id": "mine"}), sink)
    assert result["messages"][0]["session_id"] == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input_value": 3}, "input.input_value: must be a string"),
        ({"tweaks": {"Slow-1": {"code": "import os"}}}, "input.tweaks.Slow-1.code"),
        ({"tweaks": {"Slow-9": {"secs": 1}}}, "input.tweaks.Slow-9: is no component"),
        ({"tweaks": "secs"}, "input.tweaks: must be an object"),
    ],
)
async def test_inputs_that_do_not_fit(host, programs, sink, given, said):
    outcome = await host.run(programs.flow("slow_sleep", given=given), sink, DESK)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "invalid_input"
    assert outcome.error.retryable is False
    assert said in outcome.error.message


def edited(tmp_path, programs, change, flow="slow_sleep"):
    """A job for a copy of a flow whose custom component has other code."""
    data = json.loads((FLOWS / f"{flow}.json").read_text())
    for node in data["data"]["nodes"]:
        template = node["data"]["node"]["template"]
        if node["id"] == "Slow-1":
            template["code"]["value"] = change(template["code"]["value"])
    file = tmp_path / "edited.json"
    file.write_text(json.dumps(data))
    job = programs.flow(flow, given={"input_value": "x"})
    return dataclasses.replace(job, source=dataclasses.replace(job.source, path=str(file)))


async def test_a_component_that_fails(host, programs, sink, tmp_path):
    job = edited(
        tmp_path,
        programs,
        lambda code: code.replace("await asyncio.sleep(float(self.secs))", 'raise KeyError("the reason")'),
    )
    outcome = await host.run(job, sink, DESK)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "KeyError"
    assert "the reason" in outcome.error.message
    assert "Error running graph" not in outcome.error.message
    assert "KeyError" in outcome.error.traceback
    assert outcome.error.retryable is True


async def test_a_component_that_logs_and_prints(host, programs, sink, tmp_path):
    job = edited(
        tmp_path,
        programs,
        lambda code: code.replace(
            "await asyncio.sleep(float(self.secs))",
            "import logging; print('printed'); logging.getLogger('x').warning('logged'); self.log('told')",
        ),
    )
    assert (await run(host, job, sink))["text"] == "done x"
    assert sink.messages(LogStream.STDOUT) == ["printed"]
    assert "logged" in sink.messages(LogStream.LOG)
    assert "told" in sink.messages(LogStream.LOG)


async def test_global_variables(host, programs, sink, tmp_path):
    data = json.loads((FLOWS / "slow_sleep.json").read_text())
    for node in data["data"]["nodes"]:
        template = node["data"]["node"]["template"]
        if node["id"] == "Slow-1":
            template["secs"]["value"] = 0
            template["code"]["value"] = template["code"]["value"].replace(
                'text=f"done {self.x}"', 'text=str(self.graph.context["request_variables"])'
            )
    file = tmp_path / "variables.json"
    file.write_text(json.dumps(data))
    program = LangflowProgram(flow="slow_sleep", variables={"NAME": "value"})
    job = programs.flow("slow_sleep", program=program)
    job = dataclasses.replace(job, source=dataclasses.replace(job.source, path=str(file)))
    assert (await run(host, job, sink))["text"] == "{'NAME': 'value'}"


async def test_a_flow_that_does_not_load(host, programs, sink, tmp_path):
    job = edited(tmp_path, programs, lambda _: "class Slow(:\n")
    outcome = await host.run(job, sink, DESK)
    assert isinstance(outcome, NotLoaded), outcome
    assert outcome.error.type == "program_load"
    assert "edited.json" in outcome.error.message
    (tmp_path / "edited.json").write_text('{\n"data": ')
    outcome = await host.run(job, sink, DESK)
    assert isinstance(outcome, NotLoaded)
    assert "edited.json:2" in outcome.error.message
    (tmp_path / "edited.json").unlink()
    outcome = await host.run(job, sink, DESK)
    assert "can't be read" in outcome.error.message
    shutil.copy(FLOWS / "slow_sleep.json", tmp_path / "edited.json")
    given = {"input_value": "again", "tweaks": {"Slow-1": {"secs": 0}}}
    assert (await run(host, dataclasses.replace(job, input=given), sink))["text"] == "done again"
