"""Executions, schedules, events, status and top from the command line; exit codes; streams in real processes."""

import asyncio
import json
import signal
import socket

import pytest
from tests.harness.waiting import LENIENCE

from nightcrew.v1 import execution_pb2, fire_pb2


async def line_of(process, limit=30):
    async with asyncio.timeout(limit * LENIENCE):
        return (await process.stdout.readline()).decode()


async def ended(process, limit=30):
    async with asyncio.timeout(limit * LENIENCE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def called(peer, method, times=1, limit=30):
    async with asyncio.timeout(limit * LENIENCE):
        while len(peer.script.calls[method]) < times:
            await asyncio.sleep(0.01)


async def test_nobody_there_is_exit_3(cli):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        result = await cli("status", "--address", address, code=3)
        assert f"no runtime answers at {address}" in result.stderr
        assert "nightcrew up" in result.stderr
        assert result.stdout == ""
        await cli("agents", "watch", "--address", address, code=3)
        await cli("--address", address, "agents", "list", code=3)
        await cli("agents", "list", env={"NIGHTCREW_ADDRESS": address}, code=3)


async def test_a_refusal_is_exit_1_and_told_line_by_line(cli, peer):
    peer.world.add_agent("a", state=1)
    result = await cli("agents", "trigger", "a", code=1)
    assert result.stderr.splitlines() == [
        "nightcrew: FAILED_PRECONDITION (failed_precondition): agent 'a' is STATE_STOPPED: cannot trigger it",
        "  state: STATE_STOPPED",
        "  allowed states: STATE_ACTIVE, STATE_PAUSED",
    ]
    result = await cli("schedules", "preview", "bad", "--tz", "Nowhere", code=1)
    assert result.stderr.splitlines() == [
        "nightcrew: INVALID_ARGUMENT (invalid_argument): schedule.cron.expression: is no cron expression",
        "  schedule.cron.expression: is no cron expression",
        "  schedule.time_zone: is no IANA time zone",
    ]


async def test_the_address_after_the_command_wins(cli, peer):
    peer.world.add_agent("a")
    env = {"NIGHTCREW_ADDRESS": "127.0.0.1:1"}
    await cli("agents", "list", "--address", peer.address, env=env)
    await cli("--address", peer.address, "agents", "list", env=env)
    await cli("--address", "127.0.0.1:1", "agents", "list", "--address", peer.address, env=env)


async def test_what_is_not_built_is_said_clearly(cli, peer):
    run = peer.world.new_execution("a", None, None)
    for args in (
        ("executions", "signal", run.id, "approve", "--payload", '{"by": "ann"}'),
        (
            "schedules",
            "backfill",
            "a",
            "cron",
            "--from",
            "2026-01-01T00:00:00Z",
            "--to",
            "2026-01-02T00:00:00Z",
        ),
        ("schedules", "skip", "a", "cron", "2026-01-01T00:00:00Z"),
    ):
        assert "UNIMPLEMENTED" in (await cli(*args, code=1)).stderr


@pytest.mark.parametrize(
    "args",
    [
        ("no-such-command",),
        ("agents", "get"),
        ("agents", "list", "--output", "xml"),
        ("executions", "list", "--limit", "-1"),
        ("executions", "retry", "x", "--from-step", "a#b"),
        ("schedules", "preview"),
        ("schedules", "preview", "* * * * *", "--every", "5m"),
        ("schedules", "preview", "* * * * *", "--after", "2026-01-01"),
        ("schedules", "backfill", "a", "cron", "--from", "x", "--to", "y"),
        ("events", "publish", "t", "--data", "{"),
        ("executions", "logs", "x", "-f", "--filter", "y"),
    ],
)
async def test_wrong_use_is_exit_2(cli, args):
    result = await cli(*args, code=2)
    assert result.stderr
    assert not result.stdout


async def test_executions_list_and_get(cli, peer):
    for number in range(60):
        peer.world.new_execution(
            f"a{number}", None, execution_pb2.Execution.STATE_SUCCEEDED if number % 2 else None
        )
    result = await cli("executions", "list", columns=80)
    lines = result.stdout.splitlines()
    assert len(lines) == 51
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["ID", "AGENT", "STATE", "CREATED"]
    assert "more than 50" in result.stderr
    await cli("executions", "list", "--agent", "a1", "--state", "failed", "--limit", 5)
    assert peer.script.calls["ListExecutions"][-1].filter == '(state = "STATE_FAILED") AND (agent_id = "a1")'
    assert len(json.loads((await cli("executions", "list", "--limit", 0, "--output", "json")).stdout)) == 60
    run = next(iter(peer.world.executions.values()))
    run.error.type, run.error.message, run.error.traceback = "ValueError", "no", "Traceback:\n  line 1\n"
    shown = (await cli("executions", "get", run.id)).stdout
    assert "ValueError: no" in shown
    assert "  line 1" in shown
    assert (
        json.loads((await cli("executions", "get", run.id, "--output", "json")).stdout)["error"]["type"]
        == "ValueError"
    )


async def test_cancel_retry_steps(cli, peer):
    run = peer.world.new_execution("a", None, None)
    shown = json.loads(
        (await cli("executions", "cancel", run.id, "--reason", "why", "--output", "json")).stdout
    )
    assert (shown["cancel_requested"], shown["cancel_reason"]) == (True, "why")
    await cli("executions", "retry", run.id, "--from-step", "fetch#2")
    sent = peer.script.calls["RetryExecution"][0]
    assert (sent.from_step.name, sent.from_step.ordinal) == ("fetch", 2)
    peer.world.steps[run.id].append(_step(run.id))
    assert (await cli("executions", "steps", run.id)).stdout.splitlines()[1].split()[:3] == [
        "fetch#2",
        "SUCCEEDED",
        "1",
    ]


def _step(execution_id):
    from nightcrew.v1 import step_pb2

    return step_pb2.Step(execution_id=execution_id, name="fetch", ordinal=2, state=3, attempts=1)


async def test_logs_print_what_was_said(cli, peer):
    run = peer.world.new_execution("a", None, execution_pb2.Execution.STATE_SUCCEEDED)
    peer.world.say(run.id, "a printed [line]")
    for token in ("alpha ", "beta ", "gamma"):
        peer.world.say(run.id, token, stream="STREAM_TOKEN")
    peer.world.say(run.id, "careful", stream="STREAM_LOG", severity="SEVERITY_WARNING")
    lines = (await cli("executions", "logs", run.id)).stdout.splitlines()
    assert lines[:2] == ["a printed [line]", "alpha beta gamma"]
    assert lines[2].endswith("WARNING careful")
    await cli("executions", "logs", run.id, "--stream", "token")
    assert peer.script.calls["ListLogs"][-1].filter == 'stream = "STREAM_TOKEN"'
    entries = json.loads((await cli("executions", "logs", run.id, "--output", "json")).stdout)
    assert [one["message"] for one in entries] == ["a printed [line]", "alpha ", "beta ", "gamma", "careful"]
    assert entries[1]["stream"] == "STREAM_TOKEN"


async def test_logs_follow_streams_tokens_in_their_place_and_end(cli, peer):
    run = peer.world.new_execution("a", None, None)
    peer.world.say(run.id, "begin")
    process = await cli.start("executions", "logs", "-f", run.id)
    assert await line_of(process) == "begin\n"
    for token in ("alpha ", "beta"):
        peer.world.say(run.id, token, stream="STREAM_TOKEN")
    async with asyncio.timeout(90):
        assert await process.stdout.readexactly(10) == b"alpha beta"
    peer.world.say(run.id, "end")
    run.state = execution_pb2.Execution.STATE_SUCCEEDED
    code, out, err = await ended(process)
    assert (code, out, err) == (0, "\nend\n", "")


async def test_watch_of_an_execution_ends_with_it(cli, peer):
    run = peer.world.new_execution("a", None, None)
    await peer.log.add("nightcrew.execution.started", agent_id="a", execution_id=run.id)
    peer.world.say(run.id, "hello")
    run.state = execution_pb2.Execution.STATE_SUCCEEDED
    out = (await cli("executions", "watch", run.id)).stdout
    assert "is SUCCEEDED" in out
    assert "nightcrew.execution.started" in out
    assert "hello" in out
    items = [
        json.loads(one)
        for one in (await cli("executions", "watch", run.id, "--output", "json")).stdout.splitlines()
    ]
    assert [min(one) for one in items] == ["execution", "actor", "execution_id"]


async def test_trigger_follow_shows_the_end(cli, peer):
    peer.world.add_agent("a")
    peer.script.hold["GetExecution"] = asyncio.Event()
    peer.script.hold["GetExecution"].set()
    process = await cli.start("agents", "trigger", "a", "--follow")
    await called(peer, "WatchExecution")
    (run,) = peer.world.executions.values()
    peer.world.say(run.id, "working")
    run.state = execution_pb2.Execution.STATE_SUCCEEDED
    code, out, _ = await ended(process)
    assert code == 0
    assert "working" in out
    assert "SUCCEEDED" in out


async def test_events_are_published_listed_and_watched_over_a_restart(cli, peer):
    process = await cli.start("events", "watch", "--output", "json")
    await called(peer, "WatchEvents")
    result = await cli(
        "events", "publish", "shop.paid", "--data", '{"id": 4}', "--source", "/shop", "--output", "json"
    )
    assert json.loads(result.stdout) == [{"sequence": 1, "deduplicated": False}]
    first = json.loads(await line_of(process))
    assert (first["type"], first["source"], first["data"]) == ("shop.paid", "/shop", {"id": 4})
    await peer.stop()
    await peer.log.add("while.away")
    await peer.start()
    assert json.loads(await line_of(process))["type"] == "while.away"
    process.send_signal(signal.SIGINT)
    code, out, err = await ended(process)
    assert (code, out, err) == (130, "", "")
    listed = (await cli("events", "list", columns=80)).stdout.splitlines()
    assert [one.split()[3] for one in listed[1:]] == ["while.away", "shop.paid"]
    result = await cli("events", "publish", "nightcrew.mine", code=1)
    assert "events[0].type: is the runtime's own" in result.stderr


async def test_agents_watch_shows_the_snapshot_and_what_follows(cli, peer):
    peer.world.add_agent("a")
    process = await cli.start("agents", "watch", "--snapshot")
    assert await line_of(process) == "agent a is ACTIVE\n"
    await peer.log.add("nightcrew.agent.paused", agent_id="a")
    assert "nightcrew.agent.paused" in await line_of(process)
    process.send_signal(signal.SIGINT)
    assert (await ended(process))[0] == 130


async def test_a_reader_that_has_enough_ends_the_watch_without_an_error(cli, peer):
    peer.log.heartbeat = 30
    for number in range(50):
        await peer.log.add(f"t{number}")
    process = await cli.start("events", "watch", "--from-start", "--output", "json")
    await line_of(process)
    process._transport.get_pipe_transport(1).close()
    async with asyncio.timeout(90):
        while process.returncode is None:
            await peer.log.add("more", data={"string_value": "x" * 1000})
            await asyncio.sleep(0.01)
    assert (process.returncode, await process.stderr.read()) == (0, b"")


async def test_schedules_preview_and_fires(cli, peer):
    result = await cli(
        "schedules",
        "preview",
        "0 * * * *",
        "--tz",
        "Europe/Berlin",
        "--count",
        3,
        "--after",
        "2030-01-01T00:00:00Z",
    )
    lines = result.stdout.splitlines()
    assert [one.split()[:2] for one in lines[1:]] == [["2030-01-01", f"0{hour}:00:00"] for hour in (1, 2, 3)]
    assert "shifted" in lines[2]
    sent = peer.script.calls["PreviewSchedule"][0]
    assert (sent.schedule.cron.expression, sent.schedule.time_zone, sent.count) == (
        "0 * * * *",
        "Europe/Berlin",
        3,
    )
    shown = json.loads((await cli("schedules", "preview", "--every", "90s", "--output", "json")).stdout)
    assert len(shown) == 10
    assert peer.script.calls["PreviewSchedule"][1].schedule.interval.every.seconds == 90
    await cli("schedules", "preview", "--agent", "digest", "--trigger", "cron-2")
    assert peer.script.calls["PreviewSchedule"][2].trigger_id == "cron-2"
    peer.world.fires.append(fire_pb2.Fire(agent_id="a", trigger_id="cron", outcome=5, count=12))
    lines = (
        await cli("schedules", "fires", "--agent", "a", "--outcome", "missed_catch_up", columns=80)
    ).stdout.splitlines()
    assert lines[1].split() == ["a", "cron", "–", "MISSED_CATCH_UP", "12"]
    assert (
        peer.script.calls["ListFires"][0].filter
        == '(agent_id = "a") AND (outcome = "OUTCOME_MISSED_CATCH_UP")'
    )


async def test_status_shows_the_figures_and_the_tree(cli, peer):
    peer.world.add_agent("a")
    peer.world.add_agent("b", state=5)
    result = await cli("status", columns=80)
    for fact in (
        "0.1.0",
        "1 active, 1 error",
        "sqlite:.nightcrew/nightcrew.db",
        peer.address,
        "└── agents  RESTARTING  2 restarts  OSError: disk",
    ):
        assert fact in result.stdout
    shown = json.loads((await cli("status", "--output", "json")).stdout)
    assert shown["runtime"]["agent_counts"] == {"STATE_ACTIVE": 1, "STATE_ERROR": 1}
    assert [one["id"] for one in shown["components"]] == ["root", "root/store", "root/agents"]


async def test_a_tree_of_many_is_folded_but_trouble_is_shown(cli, peer):
    from nightcrew.v1 import runtime_pb2

    for number in range(100):
        state = 6 if number == 77 else 2
        peer.world.components.append(
            runtime_pb2.Component(id=f"root/agents/a{number}", parent_id="root/agents", kind=2, state=state)
        )
    out = (await cli("status")).stdout
    assert "a77  FAILED" in out
    assert "… and 88 more" in out


async def test_top_is_drawn_once_without_a_terminal(cli, peer):
    peer.world.add_agent("broken", state=5).state_reason = "program_load: no module"
    run = peer.world.new_execution("a", None, None)
    out = (await cli("top", columns=120)).stdout
    assert run.id in out
    assert "broken" in out
    assert "program_load" in out
    assert "1 error" in out
    frames = (await cli("top", "--count", 2, "--interval", "10ms", "--output", "json")).stdout.splitlines()
    assert [json.loads(one)["live"][0]["id"] for one in frames] == [run.id] * 2


async def test_help_teaches_every_command(cli):
    groups = {
        "agents": "list get create apply edit delete start stop pause resume trigger watch",
        "executions": "list get logs steps cancel retry signal watch",
        "schedules": "preview fires backfill skip",
        "events": "publish list watch",
    }
    for group, commands in groups.items():
        for command in commands.split():
            out = (await cli(group, command, "--help", columns=100)).stdout
            assert f"nightcrew {group} {command}" in out.split("Examples:", 1)[1], (group, command)
            assert "--address" in out
    for command in ("top", "status"):
        assert f"nightcrew {command}" in (await cli(command, "--help")).stdout.split("Examples:", 1)[1]
