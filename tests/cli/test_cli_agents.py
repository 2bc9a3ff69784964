"""`nightcrew agents …` against a real server: what is sent, what is printed, and the exit codes."""

import json

import pytest
import yaml

from nightcrew.v1 import agent_pb2


async def test_list_is_a_table_that_80_columns_hold(cli, peer):
    peer.world.add_agent("digest", team="ops")
    error = peer.world.add_agent("a-rather-long-name-for-an-agent", state=5)
    error.status.next_fires.add(trigger_id="cron").time.FromSeconds(1_700_000_000)
    result = await cli("agents", "list", columns=80)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["ID", "STATE", "RUNNING", "QUEUED", "LAST", "NEXT", "FIRE"]
    assert lines[1].split() == ["digest", "ACTIVE", "0", "0", "–", "–"]
    assert lines[2].split()[:2] == ["a-rather-long-name-for-an-agent", "ERROR"]
    assert "\x1b" not in result.stdout
    assert not any(one.endswith(" ") for one in lines)


async def test_what_is_piped_is_never_cut(cli, peer):
    name = "a" * 63
    peer.world.add_agent(name, team="ops", tier="gold")
    result = await cli("agents", "list")
    assert len(result.stdout.splitlines()) == 2
    assert name in result.stdout
    assert "python jobs:digest" in result.stdout
    assert "team=ops" in result.stdout


async def test_json_is_an_array_or_an_object(cli, peer):
    peer.world.add_agent("digest", team="ops")
    listed = json.loads((await cli("agents", "list", "--output", "json")).stdout)
    assert [one["id"] for one in listed] == ["digest"]
    assert listed[0]["state"] == "STATE_ACTIVE"
    got = json.loads((await cli("--output", "json", "agents", "get", "digest")).stdout)
    assert got == listed[0]
    assert got["spec"] == {"program": {"python": {"entrypoint": "jobs:digest"}}}
    assert got["status"]["running_count"] == 0
    assert got["create_time"].endswith("Z")
    assert json.loads((await cli("agents", "list", "--output", "json")).stdout) == listed


async def test_an_empty_list_is_an_empty_array(cli):
    assert json.loads((await cli("agents", "list", "--output", "json")).stdout) == []


async def test_yaml_reads_back(cli, peer):
    peer.world.add_agent("digest", team="ops")
    got = yaml.safe_load((await cli("agents", "get", "digest", "--output", "yaml")).stdout)
    assert (got["id"], got["labels"]) == ("digest", {"team": "ops"})


async def test_the_filter_is_made_of_what_is_given(cli, peer):
    await cli(
        "agents",
        "list",
        "--filter",
        "a = 1 OR b = 2",
        "--state",
        "error",
        "--state",
        "STATE_PAUSED",
        "-l",
        'k=v"x',
    )
    sent = peer.script.calls["ListAgents"][0]
    assert sent.filter == (
        '(a = 1 OR b = 2) AND (state = "STATE_ERROR" OR state = "STATE_PAUSED") AND (labels."k" = "v\\"x")'
    )
    result = await cli("agents", "list", "--state", "broken", code=2)
    assert (
        result.stderr == "nightcrew: --state: 'broken' is none of stopped, active, paused, stopping, error\n"
    )


async def test_a_limit_says_that_there_is_more(cli, peer):
    for number in range(5):
        peer.world.add_agent(f"a{number}")
    result = await cli("agents", "list", "--limit", 3)
    assert len(result.stdout.splitlines()) == 4
    assert "more than 3" in result.stderr
    assert peer.script.calls["ListAgents"][0].page_size == 3


async def test_get_shows_the_facts(cli, peer):
    agent = peer.world.add_agent("digest", team="ops")
    agent.state_reason = "source_missing: gone"
    result = await cli("agents", "get", "digest")
    for fact in ("ACTIVE", "source_missing: gone", "python jobs:digest", "team: ops", "r1"):
        assert fact in result.stdout


async def test_create_of_flags(cli, peer):
    await cli(
        "agents", "create", "digest", "--entrypoint", "jobs:digest", "--cron", "0 9 * * *", "--cron", "0 12 * * *",
        "--tz", "Europe/Berlin", "--every", "1m30s", "--input", '{"n": 3}', "--timeout", "2m", "-l", "team=ops", "--start",
    )  # fmt: skip
    agent = peer.world.agents["digest"]
    assert agent.state == agent_pb2.Agent.STATE_ACTIVE
    assert [one.id for one in agent.spec.triggers] == ["cron", "cron-2", "interval"]
    assert agent.spec.triggers[1].schedule.time_zone == "Europe/Berlin"
    assert agent.spec.triggers[2].schedule.interval.every.seconds == 90
    assert agent.spec.execution.timeout.seconds == 120
    assert agent.spec.input["n"] == 3
    assert agent.labels == {"team": "ops"}


async def test_create_of_a_manifest(cli, peer, tmp_path):
    path = tmp_path / "digest.yaml"
    path.write_text("id: digest\ndescription: d\nspec:\n  program: {langflow: {flow: echo}}\n")
    await cli("agents", "create", "-f", path)
    assert peer.world.agents["digest"].spec.program.langflow.flow == "echo"
    assert peer.world.agents["digest"].description == "d"
    await cli("agents", "create", "other", "-f", path, code=2)
    await cli("agents", "create", "digest", "-f", path, "--entrypoint", "a:b", code=2)


async def test_create_needs_a_program(cli, peer):
    assert "--entrypoint" in (await cli("agents", "create", "digest", code=2)).stderr
    assert not peer.script.calls["CreateAgent"]


async def test_delete(cli, peer):
    peer.world.add_agent("a", state=1)
    peer.world.add_agent("b")
    assert "a is deleted" in (await cli("agents", "delete", "a")).stderr
    result = await cli("agents", "delete", "b", code=1)
    assert "STATE_STOPPED" in result.stderr
    await cli("agents", "delete", "b", "--force")
    assert not peer.world.agents


async def test_lifecycle_of_one(cli, peer):
    peer.world.add_agent("a", state=1)
    assert "ACTIVE" in (await cli("agents", "start", "a")).stdout
    paused = json.loads((await cli("agents", "pause", "a", "--reason", "lunch", "--output", "json")).stdout)
    assert (paused["state"], paused["state_reason"]) == ("STATE_PAUSED", "lunch")
    await cli("agents", "resume", "a")
    assert "STOPPED" in (await cli("agents", "stop", "a")).stdout


async def test_lifecycle_of_several_tells_each_and_fails_when_one_is_refused(cli, peer):
    peer.world.add_agent("a", state=1, team="ops")
    peer.world.add_agent("b", state=3, team="ops")
    result = await cli("agents", "start", "-l", "team=ops", code=1)
    assert "a   ACTIVE" in result.stdout
    assert "cannot start it" in result.stdout
    listed = json.loads((await cli("agents", "start", "a", "b", "nobody", "--output", "json", code=1)).stdout)
    assert [one.get("error", {}).get("code") for one in listed] == [None, "FAILED_PRECONDITION", "NOT_FOUND"]
    await cli("agents", "stop", "-l", "team=ops")
    assert "no agent" in (await cli("agents", "stop", "-l", "team=dev")).stderr


@pytest.mark.parametrize("args", [(), ("a", "-l", "team=ops"), ("-l", "team")])
async def test_lifecycle_used_wrongly(cli, args):
    await cli("agents", "start", *args, code=2)


async def test_trigger_waits_and_shows(cli, peer):
    peer.world.add_agent("digest")
    result = await cli(
        "agents", "trigger", "digest", "--input", '{"day": "monday", "n": 3}', "--wait", "1m30s", "--label", "k=v,k2=v2",
        "--priority", 4, "--output", "json",
    )  # fmt: skip
    run = json.loads(result.stdout)
    assert (run["state"], run["result"]) == ("STATE_SUCCEEDED", {"sent": 3, "rate": 0.5})
    assert run["input"] == {"day": "monday", "n": 3}
    assert run["labels"] == {"k": "v", "k2": "v2"}
    sent = peer.script.calls["TriggerAgent"][0]
    assert (sent.wait.seconds, sent.priority) == (90, 4)
    shown = (await cli("agents", "trigger", "digest")).stdout
    assert "QUEUED" in shown
    assert "digest" in shown


async def test_the_input_may_come_from_a_file_or_from_stdin(cli, peer, tmp_path):
    peer.world.add_agent("digest")
    path = tmp_path / "order.json"
    path.write_text('{"order": 42}')
    from_file = json.loads(
        (await cli("agents", "trigger", "digest", "-i", f"@{path}", "--output", "json")).stdout
    )
    assert from_file["input"] == {"order": 42}
    from_stdin = json.loads(
        (
            await cli("agents", "trigger", "digest", "-i", "-", "--output", "json", stdin='{"order": 43}')
        ).stdout
    )
    assert from_stdin["input"] == {"order": 43}


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--input", "{broken", "line 1 column 2"),
        ("--input", "[1]", "JSON object"),
        ("--input", "@/no/such/file", "/no/such/file"),
        ("--wait", "soon", "10s"),
        ("--label", "novalue", "key=value"),
        ("--input", '{"n": 1e999}', "finite"),
    ],
)
async def test_trigger_used_wrongly(cli, peer, option, value, told):
    peer.world.add_agent("digest")
    result = await cli("agents", "trigger", "digest", option, value, code=2, columns=200)
    assert told in result.stderr
    assert not peer.world.executions
