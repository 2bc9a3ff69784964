"""Flows as files: discovered without lfx, their schedules read, their closed fields kept closed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightcrew.domain.spec.program import SessionMode
from nightcrew.domain.spec.trigger import CatchUpMode
from nightcrew.programs.flows import discover_flow, read_flow, schedule_of_flow
from nightcrew.programs.tweaks import tweak_faults

FLOWS = Path(__file__).parent.parent / "data" / "flows"


def test_a_flow_becomes_an_agent():
    (found,) = discover_flow(FLOWS / "prompt_echo.json").found
    assert found.source.kind == "langflow"
    assert found.source.name == "prompt_echo"
    assert found.definition.manifest.id == "prompt-echo"
    assert found.definition.manifest.spec.program.langflow.flow == "prompt_echo"
    assert found.definition.manifest.spec.triggers == ()


def test_discovery_does_not_load_lfx():
    # In a process of its own: lfx brings a pytest plugin, so that pytest itself has loaded part of it.
    code = (
        "import sys\nfrom nightcrew.programs.flows import discover_flow\n"
        f"assert discover_flow({str(FLOWS / 'prompt_echo.json')!r}).found\n"
        "assert not any(name == 'lfx' or name.startswith('lfx.') for name in sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
    )


def test_a_schedule_trigger_is_a_cron_trigger():
    (found,) = discover_flow(FLOWS / "schedule_digest.json").found
    (trigger,) = found.definition.manifest.spec.triggers
    assert trigger.id == "cron"
    assert trigger.schedule.cron.expression == "0 8 * * 1-5"
    assert trigger.schedule.time_zone == "UTC"
    assert trigger.schedule.catch_up is None


def test_several_schedule_triggers_and_their_settings():
    flow = read_flow(FLOWS / "schedule_digest.json")
    node = next(one for one in flow["data"]["nodes"] if one["id"] == "ScheduleTrigger-1")
    second = json.loads(json.dumps(node))
    second["id"] = "ScheduleTrigger-9"
    template = second["data"]["node"]["template"]
    template["timezone"]["value"] = "Asia/Tokyo"
    template["catchup_policy"]["value"] = "skip"
    template["share_session"]["value"] = True
    flow["data"]["nodes"].append(second)
    first, other = schedule_of_flow(flow).items()
    assert (first[0], first[1].id) == ("ScheduleTrigger-1", "cron")
    assert (other[0], other[1].id) == ("ScheduleTrigger-9", "cron-2")
    assert other[1].schedule.time_zone == "Asia/Tokyo"
    assert other[1].schedule.catch_up.mode is CatchUpMode.NONE


def test_a_shared_session_is_one_for_the_agent(tmp_path):
    flow = read_flow(FLOWS / "schedule_digest.json")
    for node in flow["data"]["nodes"]:
        if node["id"] == "ScheduleTrigger-1":
            node["data"]["node"]["template"]["share_session"]["value"] = True
    file = tmp_path / "shared.json"
    file.write_text(json.dumps(flow))
    (found,) = discover_flow(file).found
    assert found.definition.manifest.spec.program.langflow.session is SessionMode.PER_AGENT


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{\n"x": }', ":2: is no JSON"),
        ("b.json", "[1]", "no Langflow flow"),
        ("c.json", '{"data": {"nodes": 3}}', "no Langflow flow"),
        ("d e.json", '{"data": {"nodes": []}}', "the file's name"),
    ],
)
def test_bad_files_are_faults(tmp_path, name, text, said):
    file = tmp_path / name
    file.write_text(text)
    (fault,) = discover_flow(file).faults
    assert said in str(fault)
    assert str(file) in str(fault)


def test_a_missing_file_is_a_fault(tmp_path):
    (fault,) = discover_flow(tmp_path / "no.json").faults
    assert "can't be read" in str(fault)


def faults(tweaks, flow="slow_sleep", edit=None):
    data = read_flow(FLOWS / f"{flow}.json")
    if edit:
        edit(data)
    return [one.field for one in tweak_faults(data, tweaks, field="input.tweaks")]


def test_tweaks_that_may_be_applied():
    assert faults({"Slow-1": {"secs": 1}}) == []
    assert faults({"Slow": {"secs": 1}, "stream": True, "secs": 2}) == []
    assert faults({"ScheduleTrigger-1": {"event_payload": "{}"}}, "schedule_digest") == []


def test_tweaks_that_are_refused():
    assert faults(3) == ["input.tweaks"]
    assert faults({"Slow-1": {"code": "import os"}}) == ["input.tweaks.Slow-1.code"]
    assert faults({"code": "import os"}) == ["input.tweaks.code"]
    assert faults({"Slow-2": {"secs": 1}}) == ["input.tweaks.Slow-2"]
    assert faults({"Slow-1": {"sec": 1}}) == ["input.tweaks.Slow-1.sec"]
    assert faults({"nothing": 1}) == ["input.tweaks.nothing"]
    assert faults({"ChatInput-1": {"files": "x"}}) == ["input.tweaks.ChatInput-1.files"]


@pytest.mark.parametrize(
    ("name", "spec", "is_open"),
    [
        ("base_url", {"type": "str"}, False),
        ("openai_api_key", {"type": "str"}, False),
        ("max_token", {"type": "str"}, True),
        ("any", {"type": "str", "password": True}, False),
        ("any", {"type": "mcp"}, False),
        ("base_url", {"type": "str", "api_editable": True}, True),
    ],
)
def test_urls_and_secrets_are_closed_unless_declared(name, spec, is_open):
    def edit(data):
        for node in data["data"]["nodes"]:
            if node["id"] == "Slow-1":
                node["data"]["node"]["template"][name] = spec

    assert faults({"Slow-1": {name: "x"}}, edit=edit) == ([] if is_open else [f"input.tweaks.Slow-1.{name}"])
