"""Commands of every kind, the bad ones above all, as real processes."""

import asyncio
import contextlib
import dataclasses
import json
import stat
import sys
import textwrap

import psutil
import pytest

from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.program import CommandProgram, Isolation, Program
from nightcrew.hosts.command.groups import kill_survivors
from nightcrew.hosts.command.host import CommandHost
from nightcrew.hosts.command.settings import CommandSettings
from nightcrew.ports.host import Cancelled, Interrupted, Job, NotLoaded, ProgramSource, Succeeded
from nightcrew.system.clock import SystemClock

SHELL = "/bin/sh"
MINIMAL = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def job_of(folder, *argv, given=None, **changes) -> Job:
    program = Program(
        command=CommandProgram(
            argv=argv, **{k: changes.pop(k) for k in ("env", "working_directory") if k in changes}
        )
    )
    job = Job(
        execution_id="execution-1",
        lease=1,
        agent_id="agent",
        attempt=2,
        program=program,
        source=ProgramSource(
            kind="command", name=argv[0], path=str(folder / "agents.yaml"), root=str(folder)
        ),
        input=given or {},
        isolation=Isolation.DEDICATED,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
    )
    return dataclasses.replace(job, **changes)


@pytest.fixture
def made(tmp_path):
    def make(**settings) -> CommandHost:
        return CommandHost(
            CommandSettings(**settings), environment=MINIMAL, data=tmp_path / "data", clock=SystemClock()
        )

    return make


@pytest.fixture
async def run(tmp_path, made, sink):
    host = made()

    async def run(*argv, **rest):
        return await host.run(job_of(tmp_path, *argv, **rest), sink)

    run.host = host
    yield run
    assert host.running == 0


@pytest.fixture
def python(tmp_path):
    """The argv of a Python program of this text."""

    def write(text, name="program.py"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return [sys.executable, str(tmp_path / name)]

    return write


def sh(text):
    return [SHELL, "-c", text]


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
        for _ in range(100):
            sys.stdout.write("y\\n" * 10_000)
            sys.stderr.write("n" * 100_000)
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


async def _started(run, sink, *argv, **rest):
    task = asyncio.create_task(run(*argv, **rest))
    async with asyncio.timeout(10):
        while not sink.messages(LogStream.STDERR):
            await asyncio.sleep(0.005)
    return task


async def test_a_cancel_asks_and_what_ends_by_it_is_cancelled(run, sink):
    task = await _started(run, sink, *sh("echo up >&2; sleep 60"))
    run.host.cancel("execution-1", 1)
    assert await task == Cancelled()


async def test_one_that_returns_in_its_grace_has_succeeded(run, sink):
    task = await _started(run, sink, *sh("trap 'echo 5; exit 0' TERM; echo up >&2; sleep 60 & wait"))
    run.host.cancel("execution-1", 1)
    assert await task == Succeeded("5")


async def test_one_that_ignores_sigterm_is_killed(run, sink):
    task = await _started(run, sink, *sh("trap '' TERM; echo up >&2; while :; do sleep 0.1; done"))
    run.host.cancel("execution-1", 1)
    await asyncio.sleep(0.1)
    assert not task.done()
    run.host.kill("execution-1", 1)
    assert await task == Interrupted("killed")


def _alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


FORKS = """
    import os, sys, time
    pids = [os.getpid()]
    for _ in range(3):
        if (pid := os.fork()) == 0:
            time.sleep(120)
            os._exit(0)
        pids.append(pid)
    print(*pids, file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("ending", ["cancel", "kill", "task", "exit"])
async def test_what_it_forked_goes_with_it(run, sink, python, until, ending):
    argv = python(FORKS + ("    print('[1]')" if ending == "exit" else "    time.sleep(120)"))
    task = await _started(run, sink, *argv)
    pids = [int(one) for one in sink.messages(LogStream.STDERR)[0].split()]
    match ending:
        case "cancel":
            run.host.cancel("execution-1", 1)
            assert await task == Cancelled()
        case "kill":
            run.host.kill("execution-1", 1)
            assert await task == Interrupted("killed")
        case "task":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        case "exit":
            # Its children hold its stdout open: that must not hold up its outcome.
            assert await task == Succeeded("[1]")
    await until(lambda: not any(map(_alive, pids)))


async def test_what_left_its_group_holds_nothing_up_and_is_a_survivor(run, sink, python, tmp_path, until):
    argv = python(
        """
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            print(os.getpid(), file=sys.stderr, flush=True)
            time.sleep(120)
        time.sleep(0.3)
        """
    )
    task = await _started(run, sink, *argv)
    pid = int(sink.messages(LogStream.STDERR)[0])
    assert await task == Succeeded("null")
    assert _alive(pid)
    assert kill_survivors(str(tmp_path / "other")) == 0
    assert kill_survivors(str(tmp_path / "data")) == 1
    await until(lambda: not _alive(pid))


async def _watched(host, *jobs, sink):
    watch = asyncio.create_task(host.watch())
    try:
        return await asyncio.gather(*(host.run(one, sink) for one in jobs))
    finally:
        watch.cancel()


async def test_too_much_memory_or_too_many_processes_end_it(made, sink, python, tmp_path):
    host = made(memory=200 * 1024**2, processes=8)
    greedy = python("import time\nheld = b'x' * 400_000_000\ntime.sleep(60)", "greedy.py")
    bomb = sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; wait")
    jobs = [job_of(tmp_path, *greedy, execution_id="a"), job_of(tmp_path, *bomb, execution_id="b")]
    first, second = await _watched(host, *jobs, sink=sink)
    assert (first.error.type, second.error.type) == ("memory_limit", "process_limit")
    assert "a command may use 200 MiB" in first.error.message


async def test_the_kernels_limits(made, sink, tmp_path):
    host = made(cpu_seconds=1, file_size=10_000)
    outcome = await host.run(job_of(tmp_path, *sh("head -c 20000 /dev/zero > big; echo $?")), sink)
    assert (tmp_path / "big").stat().st_size == 10_000
    assert outcome != Succeeded("0")
    outcome = await host.run(job_of(tmp_path, *sh("while :; do :; done")), sink)
    assert outcome.error.type == "signal_SIGXCPU"
    assert "it used all the CPU time that it may" in outcome.error.message


async def test_so_many_run_at_once_and_those_that_wait_can_be_ended(made, sink, tmp_path, until):
    host = made(at_once=1)
    jobs = [job_of(tmp_path, *sh("sleep 60"), execution_id=name) for name in "abcd"]
    tasks = [asyncio.create_task(host.run(job, sink)) for job in jobs]
    await until(lambda: host.running == 1)
    host.cancel("b", 1)
    host.kill("c", 1)
    assert await tasks[1] == Cancelled()
    assert await tasks[2] == Interrupted("killed")
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    await until(lambda: host.running == 1)
    host.kill("d", 1)
    assert await tasks[3] == Interrupted("killed")
    assert await host.run(job_of(tmp_path, *sh("echo 1")), sink) == Succeeded("1")


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
