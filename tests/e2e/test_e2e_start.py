"""Starting: what a newcomer sees first, and how a start that can't be is refused."""

import json
import socket
import stat
from concurrent.futures import ThreadPoolExecutor

from tests.harness.fixtures import DATA
from tests.harness.process import UP, run
from tests.harness.waiting import eventually, everything

from nightcrew.client import Client


async def test_agents_serve_and_fire_and_are_there_after_the_next_start(up, agents):
    crew = up(agents("basics")).start()
    assert crew.stdout().splitlines() == [f"nightcrew is ready grpc={crew.address} http={crew.web}"]
    assert stat.S_IMODE(crew.data.stat().st_mode) == 0o700

    listed = crew.grpcurl("nightcrew.v1.AgentService/ListAgents")
    assert listed.returncode == 0, listed.stderr
    states = {one["id"]: one["state"] for one in json.loads(listed.stdout)["agents"]}
    assert states == dict.fromkeys(("hello", "tick", "sleeper", "snoozer"), "STATE_ACTIVE")

    async with Client(crew.address) as client:
        greeted = await client.agents.trigger("hello", {"name": "Ada"}, wait=10)
        assert (greeted.state, greeted.result) == ("STATE_SUCCEEDED", {"text": "Hello, Ada!"})
        fired = await eventually(
            lambda: everything(
                client.executions.list(filter='agent_id = "tick" AND state = "STATE_SUCCEEDED"')
            ),
            what="the first execution of a scheduled agent",
        )
        assert fired[0].trigger.kind == "KIND_SCHEDULE"
        await client.agents.pause("hello")
        components = {one.id: one for one in await everything(client.runtime.components())}
        assert all(one.state == "STATE_RUNNING" and one.restarts == 0 for one in components.values())
    assert crew.stop() == 0

    crew.start()
    async with Client(crew.address) as client:
        assert (await client.executions.get(greeted.id)).result == greeted.result
        assert (await client.agents.get("hello")).state == "STATE_PAUSED", "people's choice stands"
        counts = (await client.runtime.get()).agent_counts
        assert {state: count for state, count in counts.items() if count} == {
            "STATE_ACTIVE": 3,
            "STATE_PAUSED": 1,
        }
    assert crew.stop() == 0


def test_grpcurl_needs_no_proto_files(up, agents):
    crew = up(agents("basics")).start()
    services = crew.grpcurl("list").stdout.split()
    named = {f"nightcrew.v1.{one}Service" for one in ("Agent", "Execution", "Schedule", "Event", "Runtime")}
    assert named | {"grpc.health.v1.Health"} <= {*services}
    health = json.loads(crew.grpcurl("grpc.health.v1.Health/Check").stdout)
    assert health == {"status": "SERVING"}
    done = crew.grpcurl("nightcrew.v1.AgentService/TriggerAgent", '{"id": "hello", "wait": "10s"}')
    assert json.loads(done.stdout)["execution"]["result"] == {"text": "Hello, world!"}
    refused = crew.grpcurl("nightcrew.v1.AgentService/GetAgent", '{"id": "nobody"}')
    assert refused.returncode != 0
    assert "Code: NotFound" in refused.stderr
    assert "nobody" in refused.stderr
    assert crew.stop() == 0


def test_the_command_line_shows_the_agents(up, agents):
    crew = up(agents("basics")).start()
    listed = crew.cli("agents", "list", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    assert {"hello", "tick"} <= {one["id"] for one in json.loads(listed.stdout)}
    table = crew.cli("agents", "list")
    assert "hello" in table.stdout
    crew.stop()
    assert crew.cli("agents", "list").returncode == 3, "not reachable"


def test_a_second_runtime_on_the_folder_is_refused(up, agents):
    path = agents("basics")
    crew = up(path).start()
    second = up(path)
    second.launch()
    assert second.process.wait(20) == 1
    assert second.stdout() == ""
    assert f"in use by another runtime (pid {crew.pid})" in second.stderr()
    assert str(crew.data) in second.stderr()
    assert crew.grpcurl("nightcrew.v1.RuntimeService/GetRuntime").returncode == 0, "the first goes on"
    crew.stop()


def test_an_occupied_port_is_named(up, agents):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        crew = up(agents("basics"))
        crew.address = address
        crew.launch()
        assert crew.wait(20) == 1
        assert address in crew.stderr()
        assert crew.stdout() == ""
    assert crew.start().address == address, "once it is free the same start serves"
    crew.stop()


WRONG = {
    "--grpc nowhere": "--grpc",
    "--grpc 0.0.0.0:7447": "loopback",
    "--drain -1": "--drain",
    "--log-format xml": "log-format",
    "--log-level chatty": "--log-level",
    "--what": "--what",
    "no/such/file.py": "no/such/file.py",
}


def test_wrong_use_is_named_and_exits_2(tmp_path):
    def start(flags):
        return run([*UP, "--data", str(tmp_path / "data"), *flags.split()])

    with ThreadPoolExecutor(2) as pool:
        ended = dict(zip(WRONG, pool.map(start, WRONG), strict=True))
    for flags, done in ended.items():
        assert done.returncode == 2, (flags, done.stderr)
        assert WRONG[flags] in done.stderr, flags
        assert done.stdout == "", flags
        assert "Traceback" not in done.stderr, flags
    assert not (tmp_path / "data").exists(), "a refused start leaves nothing behind"


def test_a_syntax_error_is_named_with_its_line_while_the_others_run(up, agents):
    good = agents("basics")
    bad = agents("broken", "from nightcrew.agent import agent\n\n@agent\ndef broken(:\n    return 1\n")
    crew = up(good, bad).start()
    assert f"{bad}:4" in crew.stderr()
    done = crew.grpcurl("nightcrew.v1.AgentService/TriggerAgent", '{"id": "hello", "wait": "10s"}')
    assert json.loads(done.stdout)["execution"]["state"] == "STATE_SUCCEEDED"
    crew.stop()


async def test_an_agent_whose_file_breaks_comes_back_when_it_is_mended(up, agents):
    path = agents("basics")
    crew = up(path).start()
    crew.stop()
    path.write_text("def (\n")
    crew.start()
    async with Client(crew.address) as client:
        hurt = await client.agents.get("hello")
        assert (hurt.state, hurt.state_reason) == ("STATE_ERROR", "program_load")
    crew.stop()
    path.write_text((DATA / "agents" / "basics.py").read_text())
    crew.start()
    async with Client(crew.address) as client:
        assert (await client.agents.get("hello")).state == "STATE_ACTIVE"
    crew.stop()
