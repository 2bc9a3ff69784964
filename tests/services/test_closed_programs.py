"""Commands and HTTP programs from a file to a result: off by default, and only what files name, all of it."""

import json
import time

import pytest
from tests.peer.receiver import Receiver, Reply, json_reply

from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.agent import Manifest
from nightcrew.services.once import Request

ONCE = Request(method="test")

COMMAND = """
    id: teller
    spec:
      program:
        command:
          argv: [sh, -c, 'read line; echo "got it" >&2; echo "$line"']
          env: {MODE: night}
      execution: {retry: {max_attempts: 2, jitter: false}}
"""

HTTP = """
    id: caller
    spec:
      program:
        http: {url: "URL", headers: {Authorization: "Bearer ${secret:TOKEN}"}}
      execution: {retry: {max_attempts: 3, initial_backoff: 10s, jitter: false}}
"""


@pytest.fixture
def allow(monkeypatch):
    def kinds(*names, private="127.0.0.1"):
        monkeypatch.setenv("NIGHTCREW_ALLOW", ",".join(names))
        monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", private)
        monkeypatch.setenv("NIGHTCREW_SECRET_TOKEN", "s3cret-token")

    kinds()
    return kinds


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


def faults(box):
    return [str(fault) for fault in box.engine.report.faults]


async def done(box, agent_id, data=None):
    """An execution that was run to its end: what runs outside takes real time, which virtual time must wait for."""
    row = await box.trigger(agent_id, data or {})
    return await settled(box, row.id)


async def settled(box, execution_id):
    deadline = time.monotonic() + 20
    while (row := await box.execution(execution_id)).state is ExecutionState.RUNNING:
        assert time.monotonic() < deadline
        await box.settle()
    return row


async def test_without_allow_a_file_s_fault_says_how_to_allow(given, allow):
    path = given.write("teller", COMMAND, suffix=".yaml")
    async with given.up() as box:
        (fault,) = faults(box)
        assert fault.startswith(f"{path}: agent 'teller': ")
        assert "spec.program.command: command programs are off: `nightcrew up --allow command`" in fault


@pytest.mark.parametrize(
    "program", [{"command": {"argv": ["true"]}}, {"http": {"url": "https://example.com"}}]
)
async def test_without_allow_the_api_refuses_and_says_how_to_allow(given, allow, program):
    (kind,) = program
    async with given.up() as box:
        with pytest.raises(InvalidArgument, match=f"up --allow {kind}") as caught:
            await box.services.agents.create(
                Manifest.parse({"id": "a", "spec": {"program": program}}), request=ONCE
            )
    assert caught.value.code == "program_not_allowed"
    assert [one.field for one in caught.value.violations] == [f"agent.spec.program.{kind}"]


async def test_a_command_from_a_file_runs(given, allow):
    allow("command")
    given.write("teller", COMMAND, suffix=".yaml")
    async with given.up() as box:
        assert faults(box) == []
        row = await done(box, "teller", {"to": "me"})
        assert (row.state, row.result) == (ExecutionState.SUCCEEDED, '{"to":"me"}')
        assert [(one.stream, one.message) for one in await box.logs(row.id)] == [(LogStream.STDERR, "got it")]


async def test_over_the_api_only_what_a_file_names_may_run_and_all_of_it(given, allow):
    allow("command")
    given.write("teller", COMMAND, suffix=".yaml")
    async with given.up() as box:
        named = (await box.agent("teller")).spec.program
        same = Manifest.parse({"id": "same", "spec": {"program": named.to_json()}})
        await box.services.agents.create(same, request=ONCE)
        await box.services.agents.command(AgentEvent.START, "same", reason="", request=ONCE)
        assert (await done(box, "same", {"a": 1})).result == '{"a":1}'
        for change in (
            {"argv": [*named.command.argv, "x"]},
            {"env": {}},
            {"env": {"MODE": "day"}},
            {"working_directory": "/"},
        ):
            program = {"command": {**named.to_json()["command"], **change}}
            with pytest.raises(
                InvalidArgument, match="all of its fields must be as a file names them"
            ) as caught:
                await box.services.agents.create(
                    Manifest.parse({"id": "other", "spec": {"program": program}}), request=ONCE
                )
            assert caught.value.code == "program_not_allowed"


async def test_one_command_named_for_two_folders_is_refused_with_both(given, allow):
    allow("command")
    first = given.write("first", COMMAND, suffix=".yaml")
    second = given.write("second", COMMAND.replace("teller", "other"), suffix=".yaml", folder="sub")
    async with given.up(first, second) as box:
        assert len(faults(box)) == 2
        assert all(
            "is named for several folders" in fault and str(second.parent) in fault for fault in faults(box)
        )
    third = given.write("third", COMMAND.replace("teller", "third"), suffix=".yaml")
    async with given.up(first, third) as box:
        assert faults(box) == []


async def test_what_is_no_longer_allowed_does_not_run_whoever_made_it(given, allow):
    allow("command")
    path = given.write("teller", COMMAND, suffix=".yaml")
    async with given.up() as box:
        named = (await box.agent("teller")).spec.program
        await box.services.agents.create(
            Manifest.parse({"id": "same", "spec": {"program": named.to_json()}}), request=ONCE
        )
        await box.services.agents.command(AgentEvent.START, "same", reason="", request=ONCE)
    allow()
    async with given.up() as box:
        teller = await box.agent("teller")
        assert (teller.state, teller.state_reason) == (AgentState.ERROR, "program_load")
        row = await done(box, "same")
        assert (row.state, row.error.type) == (ExecutionState.FAILED, "program_load")
        assert "up --allow command" in row.error.message
    allow("command")
    async with given.up() as box:
        assert (await box.agent("teller")).state is AgentState.ACTIVE
        assert path.exists()


@pytest.mark.parametrize(
    ("field", "program"),
    [
        ("command.argv", {"command": {"argv": []}}),
        ("command.argv", {"command": {"argv": [""]}}),
        ("command.argv", {"command": {"argv": ["a\0b"]}}),
        ("command.env", {"command": {"argv": ["a"], "env": {"A=B": "c"}}}),
        ("http.url", {"http": {"url": "ftp://h"}}),
        ("http.url", {"http": {"url": "http://user:password@h"}}),
        ("http.method", {"http": {"url": "http://h", "method": "post"}}),
        ("http.headers", {"http": {"url": "http://h", "headers": {"a b": "c"}}}),
        ("http.headers", {"http": {"url": "http://h", "headers": {"a": "b\r\nHost: evil"}}}),
        ("http.headers", {"http": {"url": "http://h", "headers": {"Host": "evil"}}}),
        ("http.timeout", {"http": {"url": "http://h", "timeout": "0s"}}),
    ],
)
def test_programs_that_can_not_be_are_refused_by_field(field, program):
    with pytest.raises(InvalidArgument) as caught:
        Manifest.parse({"id": "a", "spec": {"program": program}}, field="agent")
    assert [one.field for one in caught.value.violations] == [f"agent.spec.program.{field}"]


@pytest.mark.parametrize(
    ("program", "isolation"),
    [({"command": {"argv": ["true"]}}, "ISOLATION_INLINE"), ({"command": {"argv": ["true"]}}, "ISOLATION_POOL"),
     ({"http": {"url": "https://h"}}, "ISOLATION_POOL"), ({"http": {"url": "https://h"}}, "ISOLATION_DEDICATED")],
)  # fmt: skip
async def test_where_they_run_is_not_to_be_chosen(given, allow, program, isolation):
    allow("command", "http")
    given.write(
        "a", json.dumps({"id": "a", "spec": {"program": program, "isolation": isolation}}), suffix=".yaml"
    )
    async with given.up() as box:
        (fault,) = faults(box)
        assert "spec.isolation: " in fault


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://0x7f.1/", "http://169.254.169.254/latest", "http://[::1]/"]
)
async def test_a_private_address_in_a_url_is_refused_as_it_is_written(given, allow, url):
    allow("http", private="false")
    given.write("caller", HTTP.replace("URL", url), suffix=".yaml")
    async with given.up() as box:
        (fault,) = faults(box)
        assert "spec.program.http.url: " in fault
        assert "allow_private can allow it" in fault


async def test_an_http_program_posts_its_input_and_its_answer_is_the_result(given, allow, receiver):
    allow("http")
    receiver.answer = lambda came: json_reply({"got": came.json})
    given.write("caller", HTTP.replace("URL", receiver.url("/run")), suffix=".yaml")
    async with given.up() as box:
        row = await done(box, "caller", {"to": "me"})
    assert (row.state, row.result) == (ExecutionState.SUCCEEDED, '{"got":{"to":"me"}}')
    (came,) = receiver.came
    assert (came.method, came.path, came.headers["content-type"]) == ("POST", "/run", "application/json")
    assert came.headers["authorization"] == "Bearer s3cret-token"
    assert came.headers["idempotency-key"] == row.id


async def test_retry_after_is_heeded_and_the_key_stays(given, allow, receiver):
    allow("http")
    replies = iter([Reply(503, b"later", {"retry-after": "100"}), Reply(500), json_reply(1)])
    receiver.answer = lambda _: next(replies)
    given.write("caller", HTTP.replace("URL", receiver.url()), suffix=".yaml")
    async with given.up() as box:
        row = await done(box, "caller")
        assert (row.state, row.error.type, row.error.message) == (
            ExecutionState.RETRYING,
            "http_503",
            "the endpoint answered 503: later",
        )
        assert (row.next_attempt_time - box.clock.now()).total_seconds() == 100
        await box.advance(99)
        assert (await box.execution(row.id)).state is ExecutionState.RETRYING
        await box.advance(1)
        row = await settled(box, row.id)
        assert (row.error.type, (row.next_attempt_time - box.clock.now()).total_seconds()) == ("http_500", 20)
        await box.advance(20)
        assert (await settled(box, row.id)).result == "1"
    assert {came.headers["idempotency-key"] for came in receiver.came} == {row.id}


async def test_a_secret_is_told_nobody(given, allow, receiver, tmp_path):
    allow("http")
    receiver.answer = lambda came: Reply(404, b"no " + came.headers["authorization"].encode())
    url = receiver.url("/x?key=${secret:TOKEN}")
    given.write("caller", HTTP.replace("URL", url), suffix=".yaml")
    async with given.up() as box:
        row = await done(box, "caller")
        assert (row.state, row.error.type) == (ExecutionState.FAILED, "http_404")
        assert row.error.message == "the endpoint answered 404: no Bearer [secret]"
        receiver.answer = lambda came: json_reply({"echo": came.headers["authorization"]})
        assert (await done(box, "caller")).result == '{"echo":"Bearer [secret]"}'
        assert (await box.agent("caller")).spec.program.http.url == url
    assert receiver.came[0].path == "/x?key=s3cret-token"
    assert all(
        b"s3cret-token" not in file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file()
    )


async def test_a_secret_that_is_not_there_fails_the_execution(given, allow, receiver, monkeypatch):
    allow("http")
    monkeypatch.delenv("NIGHTCREW_SECRET_TOKEN")
    given.write(
        "caller",
        HTTP.replace("URL", receiver.url()).replace("max_attempts: 3", "max_attempts: 1"),
        suffix=".yaml",
    )
    async with given.up() as box:
        row = await done(box, "caller")
    assert (row.state, row.error.type) == (ExecutionState.FAILED, "secret_unavailable")
    assert receiver.came == []


async def test_a_cancel_ends_the_request(given, allow, receiver):
    allow("http")
    receiver.answer = lambda _: Reply(hang=True)
    given.write("caller", HTTP.replace("URL", receiver.url()), suffix=".yaml")
    async with given.up() as box:
        row = await box.trigger("caller", {})
        deadline = time.monotonic() + 10
        while not receiver.came:
            assert time.monotonic() < deadline
            await box.settle()
        await box.services.executions.cancel(row.id, reason="", request=ONCE)
        assert (await settled(box, row.id)).state is ExecutionState.CANCELLED
    assert receiver.gone.wait(5)


async def test_one_that_runs_whenever_the_runtime_dies_is_a_crash_loop(given, allow, tmp_path):
    allow("command")
    given.write(
        "teller", COMMAND.replace("read line;", f"echo >> {tmp_path}/runs; sleep 60;"), suffix=".yaml"
    )
    runs = tmp_path / "runs"
    row = None
    for count in range(1, 6):
        async with given.up() as box:
            row = row or await box.trigger("teller", {})
            deadline = time.monotonic() + 10
            while not runs.exists() or len(runs.read_text()) < count:
                assert time.monotonic() < deadline
                await box.settle()
    async with given.up() as box:
        row = await box.execution(row.id)
        assert (row.state, row.error.type) == (ExecutionState.FAILED, "crash_loop")
