"""Commands: what they are given, what their output and their exit mean, and what is kept from being told."""

import json
import stat

import psutil
import pytest
from tests.hosts.support.commands import MINIMAL, SHELL, sh

from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.program import CommandProgram, Program
from nightcrew.ports.host import NotLoaded, Succeeded


async def test_the_input_is_on_stdin_and_the_last_json_line_is_the_result(run, python, sink):
    argv = python(
        """
        import json, sys
        given = json.load(sys.stdin)
        print("working on it")
        print("a warning", file=sys.stderr)
        print(json.dumps({"got": given, "ä": [1, None]}))
        print()
        """
    )
    outcome = await run(*argv, given={"to": "mé"})
    assert isinstance(outcome, Succeeded)
    assert json.loads(outcome.result) == {"got": {"to": "mé"}, "ä": [1, None]}
    assert sink.messages(LogStream.STDOUT) == ["working on it"]
    assert sink.messages(LogStream.STDERR) == ["a warning"]


@pytest.mark.parametrize(
    ("text", "result", "told"),
    [
        ("true", "null", []),
        ("echo", "null", []),
        ("echo hello", '"hello"', ["hello"]),
        ("echo one; echo two", '"one\\ntwo"', ["one", "two"]),
        ("echo one; echo 2", "2", ["one"]),
        ("printf '{\"a\": 1}'", '{"a":1}', []),
        ("echo '{'; echo '\"a\": 1'; echo '}'", '{"a":1}', ["{", '"a": 1']),
        ("echo '{\"a\":1}'; echo bye", '"{\\"a\\":1}\\nbye"', ['{"a":1}', "bye"]),
        ("echo NaN", '"NaN"', ["NaN"]),
        ("echo '[1,'", '"[1,"', ["[1,"]),
    ],
)
async def test_what_is_the_result(run, sink, text, result, told):
    assert await run(*sh(text)) == Succeeded(result)
    assert sink.messages(LogStream.STDOUT) == told


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("exit 3", "exit_3", "the command exited with 3"),
        ("echo oh no >&2; exit 1", "exit_1", "the command exited with 1: oh no"),
        ("kill -SEGV $$", "signal_SIGSEGV", "the command was killed by SIGSEGV"),
        ("kill -KILL $$", "signal_SIGKILL", "the command was killed by SIGKILL"),
        ("kill -TERM $$", "signal_SIGTERM", "the command was killed by SIGTERM"),
        ("no-such-thing-at-all", "exit_127", "not found"),
    ],
)
async def test_how_it_fails(run, text, kind, message):
    outcome = await run(*sh(text))
    assert outcome.error.type == kind
    assert message in outcome.error.message
    assert outcome.error.retryable


async def test_the_tail_of_a_long_stderr_is_kept(run, sink):
    outcome = await run(*sh("for i in $(seq 1 3000); do echo line $i >&2; done; exit 1"))
    assert outcome.error.message.endswith("line 3000")
    assert len(outcome.error.message) < 5000
    assert len(sink.messages(LogStream.STDERR)) == 3000


async def test_what_is_not_there_or_not_executable_is_not_loaded(run, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho 1\n")
    folder = str(tmp_path / "nowhere")
    for argv, changes, why in (
        (["no-such-command-at-all"], {}, "is not in PATH"),
        (["./no-such-file"], {}, "does not exist"),
        (["./script"], {}, "is not executable: chmod +x it"),
        ([str(tmp_path)], {}, "does not exist"),
        ([SHELL], {"working_directory": folder}, "is no folder"),
    ):
        outcome = await run(*argv, **changes)
        assert isinstance(outcome, NotLoaded), argv
        assert outcome.error.type == "program_load"
        assert why in outcome.error.message
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert await run("./script") == Succeeded("1")


async def test_what_the_kernel_can_not_execute_says_so(run, tmp_path):
    file = tmp_path / "data.bin"
    file.write_bytes(b"\x00\x01\x02 no program")
    file.chmod(0o755)
    outcome = await run("./data.bin")
    assert outcome.error.type == "exit_126"
    assert "can't be executed: Exec format error" in outcome.error.message


async def test_it_runs_where_its_file_is_or_where_it_says(run, tmp_path):
    (tmp_path / "sub").mkdir()
    assert json.loads((await run(*sh("pwd"))).result) == str(tmp_path)
    assert json.loads((await run(*sh("pwd"), working_directory="sub")).result) == str(tmp_path / "sub")
    assert json.loads((await run(*sh("pwd"), working_directory="/")).result) == "/"


async def test_its_environment_is_small(run, monkeypatch, tmp_path):
    monkeypatch.setenv("NIGHTCREW_SECRET_X", "s3cret-value")
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-value")
    outcome = await run("env", env={"GIVEN": "yes", "NIGHTCREW_ATTEMPT": "mine"})
    lines = dict(line.split("=", 1) for line in json.loads(outcome.result).splitlines())
    assert lines == {
        **MINIMAL,
        "NIGHTCREW_AGENT_ID": "agent",
        "NIGHTCREW_EXECUTION_ID": "execution-1",
        "NIGHTCREW_ATTEMPT": "mine",
        "NIGHTCREW_RUNTIME": str(tmp_path / "data"),
        "GIVEN": "yes",
    }


async def test_there_is_no_shell(run, tmp_path):
    assert await run("echo", "$HOME; touch pwned; `touch pwned`", "*", "--", "-n") == Succeeded(
        '"$HOME; touch pwned; `touch pwned` * -- -n"'
    )
    assert not (tmp_path / "pwned").exists()


async def test_secrets_are_in_nothing_that_is_told(run, sink):
    outcome = await run(
        *sh('echo key is $KEY; echo $KEY >&2; echo \\"$KEY\\"'), env={"KEY": "s3cret"}, hidden=("s3cret",)
    )
    assert outcome == Succeeded('"[secret]"')
    failed = await run(*sh("echo $KEY >&2; exit 2"), env={"KEY": "s3cret"}, hidden=("s3cret",))
    assert failed.error.message == "the command exited with 2: [secret]"
    assert sorted(sink.messages()) == ["[secret]", "[secret]", "key is [secret]"]


async def test_a_secret_that_no_environment_can_hold(run):
    program = CommandProgram.model_construct(argv=("true",), env={"KEY": "a\0s3cret"}, working_directory="")
    outcome = await run("true", program=Program.model_construct(command=program))
    assert (outcome.error.type, outcome.error.retryable) == ("command_start", False)
    assert "s3cret" not in outcome.error.message


async def test_one_that_reads_nothing_of_its_input_or_closes_it(run):
    given = {"text": "x" * 1_000_000}
    assert await run(*sh("exit 0"), given=given) == Succeeded("null")
    assert await run(*sh("exec <&-; sleep 0.05; echo 1"), given=given) == Succeeded("1")
    assert await run(*sh("wc -c"), given=given) == Succeeded(
        str(len(json.dumps(given, separators=(",", ":"))))
    )


async def test_broken_utf_8(run, sink):
    outcome = await run(*sh(r"printf 'a\377b\n' >&2; printf 'x\376y\n'"))
    assert outcome == Succeeded('"x�y"')
    assert sink.messages(LogStream.STDERR) == ["a�b"]


async def test_a_flood_is_bounded(run, python, sink):
    argv = python(
        """
        import sys
        for _ in range(20):
            sys.stdout.write("y\\n" * 10_000)
            sys.stderr.write("n" * 500_000)
        print('{"done": true}')
        """
    )
    assert await run(*argv) == Succeeded('{"done":true}')
    assert len(sink.entries) <= 10_001
    assert "left out: an attempt keeps at most" in sink.messages()[-1]


async def test_a_result_that_is_too_long(run):
    outcome = await run(*sh("head -c 2000000 /dev/zero | tr '\\0' x"))
    assert (outcome.error.type, outcome.error.retryable) == ("result_too_large", False)
    outcome = await run(*sh("head -c 2000000 /dev/zero | tr '\\0' x; echo; echo 7"))
    assert outcome == Succeeded("7")


async def test_python_s_own_signals_are_reset_for_it(run):
    outcome = await run(*sh("trap; kill -PIPE $$; echo alive"))
    assert outcome.error.type == "signal_SIGPIPE"


async def test_descriptors_and_threads_do_not_pile_up(run):
    await run(*sh("echo 1"))
    before = psutil.Process().num_fds()
    for _ in range(5):
        await run(*sh("echo 1"))
        await run("no-such-command-at-all")
    assert psutil.Process().num_fds() <= before
