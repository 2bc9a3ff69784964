"""ProcessHost with real worker processes: outcomes, cancel, kill, crashes, memory, and the runtime's death."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import structlog
import uvloop

from nightcrew.domain.errors import Unavailable
from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.program import Isolation
from nightcrew.hosts.process.host import MIB, ProcessHost, ProcessSettings
from nightcrew.ports.host import Cancelled, Failed, Interrupted, NotLoaded, Succeeded

CODE = """
import asyncio, ctypes, logging, os, signal, subprocess, sys, time
import structlog
from nightcrew.agent import NonRetryable

def echo(input):
    return input

async def aecho(input):
    return input

def pid(ctx):
    return os.getpid()

def fails():
    raise KeyError("gone")

def no_json():
    return {1, 2}

def exits():
    sys.exit(4)

def vanishes(ctx):
    print("about to vanish")
    os._exit(3)

def segfaults():
    ctypes.string_at(0)

def allocates():
    held = []
    while True:
        held.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.001)

def counts(ctx):
    ctx.state["n"] = ctx.state.get("n", 0) + 1
    return ctx.state["n"]

def spins(ctx, mark):
    open(mark, "w").close()
    while True:
        pass

def heeds(ctx, mark):
    open(mark, "w").close()
    while not ctx.cancelled:
        time.sleep(0.01)
    return "heeded"

def makes_good(ctx, mark):
    open(mark, "w").close()
    try:
        while True:
            time.sleep(0.005)
    finally:
        print("made good")

def holds_on(ctx, mark):
    open(mark, "w").close()
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass

def sleeps(ctx, mark, seconds=600):
    open(mark, "w").close()
    time.sleep(seconds)
    return "slept"

async def asleeps(ctx, mark):
    open(mark, "w").close()
    await asyncio.sleep(600)

async def ablocks(ctx, mark):
    open(mark, "w").close()
    time.sleep(600)

def starts_a_child(ctx, mark):
    child = subprocess.Popen(["sleep", "600"])
    with open(mark + ".tmp", "w") as out:
        out.write(str(child.pid))
    os.rename(mark + ".tmp", mark)
    time.sleep(600)

def speaks(ctx, n):
    print("printed", n)
    logging.getLogger("some").warning("logged %s", n, extra={"n": n})
    structlog.get_logger().info("structured", n=n)
    ctx.log.error("own", n=n)
    print("error", n, file=sys.stderr)

def wrapped(n):
    async def inner():
        await asyncio.sleep(0)
        return n
    return inner()

def raw():
    os.write(1, b"raw bytes of the process\\n")
"""


@contextlib.asynccontextmanager
async def serving(**settings):
    host = ProcessHost(ProcessSettings(**{"workers": 1, **settings}))
    ready = asyncio.Event()
    life = asyncio.create_task(host.serve(ready.set))
    await ready.wait()
    try:
        yield host
    finally:
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
        assert host.workers == []


@pytest.fixture
async def host():
    async with serving() as made:
        yield made


@pytest.fixture
def module(programs):
    return programs.write(CODE)


@pytest.fixture
def job(programs, module):
    def make(attribute, *, is_async=False, **rest):
        return programs.job(module, attribute, is_async=is_async, isolation=Isolation.POOL, **rest)

    return make


@pytest.fixture
def mark(tmp_path):
    return str(tmp_path / "mark")


async def test_what_it_returns_and_how_it_fails(host, job, sink):
    assert await host.run(job("echo", given={"a": [1, "ü"]}), sink) == Succeeded('{"a":[1,"ü"]}')
    assert await host.run(job("aecho", is_async=True, given={"a": 1}), sink) == Succeeded('{"a":1}')
    assert await host.run(job("counts", memory={"n": 4}), sink) == Succeeded("5", '{"n":5}')
    assert await host.run(job("wrapped", given={"n": 3}), sink) == Succeeded("3")
    outcome = await host.run(job("fails"), sink)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "KeyError"
    assert outcome.error.traceback.splitlines()[1].endswith("in fails"), outcome.error.traceback
    outcome = await host.run(job("no_json"), sink)
    assert (outcome.error.type, outcome.error.retryable) == ("result_not_json", False)
    outcome = await host.run(job("exits"), sink)
    assert outcome.error.type == "SystemExit"
    outcome = await host.run(job("nothing_there"), sink)
    assert isinstance(outcome, NotLoaded)
    outcome = await host.run(job("speaks"), sink)
    assert (outcome.error.type, outcome.error.message) == ("invalid_input", "input.n: is required")
    assert len(host.workers) == 1, "none of these harms the worker"


async def test_it_runs_elsewhere_and_in_one_process(host, job, sink):
    pids = [await host.run(job("pid"), sink) for _ in range(3)]
    assert len(set(pids)) == 1
    assert pids[0] != Succeeded(str(os.getpid()))


async def test_a_process_that_ends_interrupts_its_run(host, job, sink):
    outcome = await host.run(job("vanishes"), sink)
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "worker_lost"
    assert "exited with code 3" in outcome.message
    assert sink.messages() == ["about to vanish"], "what it said before is kept"
    outcome = await host.run(job("segfaults"), sink)
    assert outcome.reason == "worker_lost"
    assert "SIGSEGV" in outcome.message
    assert await host.run(job("echo"), sink) == Succeeded("{}")


async def test_memory_without_end(job, sink):
    async with serving(memory_limit=300 * MIB) as host:
        outcome = await host.run(job("allocates"), sink)
        assert outcome.reason == "worker_lost"
        assert "MiB of memory" in outcome.message
        assert "may use 300 MiB" in outcome.message
        assert await host.run(job("echo"), sink) == Succeeded("{}")


async def test_cancel_of_a_sync_program(host, job, sink, mark, until):
    for attribute, outcome in (
        ("spins", Cancelled()),
        ("heeds", Succeeded('"heeded"')),
        ("makes_good", Cancelled()),
    ):
        path = f"{mark}-{attribute}"
        one = job(attribute, given={"mark": path})
        run = asyncio.create_task(host.run(one, sink))
        await until(lambda path=path: Path(path).exists())
        host.cancel(one.execution_id, 7)
        host.cancel(one.execution_id, one.lease)
        host.cancel(one.execution_id, one.lease)
        async with asyncio.timeout(5):
            got = await run
        # One that looks at ctx.cancelled and one into which it is raised: whichever comes first.
        assert got in (outcome, Cancelled()), attribute
    assert sink.messages() == ["made good"]
    assert len(host.workers) == 1
    assert await host.run(job("echo"), sink) == Succeeded("{}")


async def test_cancel_of_an_async_program(host, job, sink, mark, until):
    one = job("asleeps", is_async=True, given={"mark": mark})
    run = asyncio.create_task(host.run(one, sink))
    await until(lambda: Path(mark).exists())
    host.cancel(one.execution_id, one.lease)
    assert await run == Cancelled()


async def test_cancel_at_any_moment_gives_one_outcome(host, job, sink):
    for delay in range(40):
        one = job("echo" if delay % 2 else "aecho", is_async=not delay % 2)
        run = asyncio.create_task(host.run(one, sink))
        for _ in range(delay):
            await asyncio.sleep(0)
        host.cancel(one.execution_id, one.lease)
        async with asyncio.timeout(30):
            assert await run in (Cancelled(), Succeeded("{}"))
    assert len(host.workers) == 1


@pytest.mark.parametrize(
    ("attribute", "is_async"), [("sleeps", False), ("holds_on", False), ("ablocks", True)]
)
async def test_what_does_not_heed_its_cancel_is_killed(host, job, sink, mark, until, attribute, is_async):
    one = job(attribute, is_async=is_async, given={"mark": mark})
    run = asyncio.create_task(host.run(one, sink))
    await until(lambda: Path(mark).exists())
    host.cancel(one.execution_id, one.lease)
    # It gets no neighbours any more: the next job is run by a worker that is started beside it.
    stuck = host.workers[0].pid
    neighbour = await host.run(job("pid"), sink)
    assert neighbour != Succeeded(str(stuck))
    assert not run.done()
    host.kill(one.execution_id, one.lease)
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "killed"
    assert not psutil.pid_exists(stuck)
    assert await host.run(job("pid"), sink) == neighbour


async def test_neighbours_of_a_killed_run_are_interrupted(host, job, sink, mark, until):
    victim, other = (job("sleeps", given={"mark": f"{mark}{n}"}) for n in range(2))
    runs = [asyncio.create_task(host.run(one, sink)) for one in (victim, other)]
    await until(lambda: all(Path(f"{mark}{n}").exists() for n in range(2)))
    host.kill(victim.execution_id, victim.lease)
    first, second = await asyncio.gather(*runs)
    assert first.reason == "killed"
    assert second.reason == "worker_lost"
    assert victim.execution_id in second.message


async def test_kill_minus_nine_of_a_worker_with_several_runs(host, job, sink, mark, until):
    jobs = [job("sleeps", given={"mark": f"{mark}{n}"}) for n in range(5)]
    runs = [asyncio.create_task(host.run(one, sink)) for one in jobs]
    await until(lambda: all(Path(f"{mark}{n}").exists() for n in range(5)))
    os.kill(host.workers[0].pid, signal.SIGKILL)
    for outcome in await asyncio.gather(*runs):
        assert outcome.reason == "worker_lost"
        assert "was killed by SIGKILL" in outcome.message
    again = [dataclasses.replace(one, lease=2, input={"mark": f"{mark}x", "seconds": 0}) for one in jobs]
    assert await asyncio.gather(*[host.run(one, sink) for one in again]) == [Succeeded('"slept"')] * 5


async def test_what_a_worker_started_dies_with_it(host, job, sink, mark, until):
    one = job("starts_a_child", given={"mark": mark})
    run = asyncio.create_task(host.run(one, sink))
    await until(lambda: Path(mark).exists())
    child = int(Path(mark).read_text())
    assert psutil.pid_exists(child)
    host.kill(one.execution_id, one.lease)
    await run
    await until(lambda: gone(child))


async def test_cancelling_the_awaiting_task_kills_the_job(host, job, sink, mark, until):
    run = asyncio.create_task(host.run(job("sleeps", given={"mark": mark}), sink))
    await until(lambda: Path(mark).exists())
    pid = host.workers[0].pid
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: gone(pid))


async def test_fifty_at_once_are_not_mixed_up(programs, module, job):
    async with serving(workers=2) as host:
        sinks = [type("S", (), {"entries": [], "write": None})() for _ in range(50)]
        for one in sinks:
            one.entries = []
            one.write = one.entries.extend
        jobs = [job("speaks", given={"n": n}) for n in range(50)]
        outcomes = await asyncio.gather(*[host.run(*pair) for pair in zip(jobs, sinks, strict=True)])
        assert outcomes == [Succeeded("null")] * 50
        for n, one in enumerate(sinks):
            said = [(entry.stream.name, entry.severity.name, entry.message) for entry in one.entries]
            assert said == [
                ("STDOUT", "INFO", f"printed {n}"),
                ("LOG", "WARNING", f"logged {n}"),
                ("LOG", "INFO", "structured"),
                ("LOG", "ERROR", "own"),
                ("STDERR", "WARNING", f"error {n}"),
            ]
            assert [entry.fields["n"] for entry in one.entries if entry.fields] == [n, n, n]
        assert len(host.workers) == 2, "two workers share fifty runs"


async def test_dedicated_and_own_workers(host, job, sink, until):
    pool = await host.run(job("pid"), sink)
    one, two = (
        dataclasses.replace(job("pid"), isolation=Isolation.DEDICATED, agent_id=name) for name in ("a", "b")
    )
    first, second = await host.run(one, sink), await host.run(two, sink)
    assert len({pool.result, first.result, second.result}) == 3
    assert await host.run(dataclasses.replace(one, lease=2), sink) == first, "kept while it is used"
    own = await host.run(dataclasses.replace(job("pid"), own_worker=True), sink)
    other = await host.run(dataclasses.replace(job("pid"), own_worker=True), sink)
    assert len({pool.result, first.result, second.result, own.result, other.result}) == 5
    await until(lambda: len(host.workers) == 3, what="own workers end after their run")


async def test_idle_workers_end(job, sink, until):
    async with serving(idle_timeout=0.3) as host:
        first = await host.run(job("pid"), sink)
        await until(lambda: host.workers == [])
        assert await host.run(job("pid"), sink) != first


async def test_a_bound_of_runs_in_a_worker(job, sink, mark, until):
    async with serving(runs_per_worker=1) as host:
        first = job("sleeps", given={"mark": mark})
        run = asyncio.create_task(host.run(first, sink))
        await until(lambda: Path(mark).exists())
        waiting = job("echo")
        second = asyncio.create_task(host.run(waiting, sink))
        third_job = job("echo")
        third = asyncio.create_task(host.run(third_job, sink))
        await asyncio.sleep(0)
        host.cancel(waiting.execution_id, waiting.lease)
        assert await second == Cancelled(), "one that waits ends at once"
        host.kill(third_job.execution_id, third_job.lease)
        assert (await third).reason == "killed"
        fourth = asyncio.create_task(host.run(job("echo"), sink))
        await asyncio.sleep(0)
        host.kill(first.execution_id, first.lease)
        assert (await run).reason == "killed"
        assert await fourth == Succeeded("{}")


async def test_workers_that_do_not_come_up(job, sink, monkeypatch, tmp_path):
    broken = tmp_path / "broken-python"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 9\n")
    broken.chmod(0o755)
    async with serving() as host:
        real = sys.executable
        monkeypatch.setattr(sys, "executable", str(broken))
        outcome = await host.run(job("echo"), sink)
        assert outcome.reason == "worker_lost"
        assert "exited with code 9" in outcome.message
        began = time.monotonic()
        outcome = await host.run(job("echo"), sink)
        assert outcome.reason == "worker_lost"
        assert time.monotonic() - began > 0.3, "the second start waited"
        monkeypatch.setattr(sys, "executable", real)
        assert await host.run(job("echo"), sink) == Succeeded("{}")


async def test_what_the_process_itself_prints_goes_to_the_runtimes_log(host, job, sink, until):
    with structlog.testing.capture_logs() as logs:
        assert await host.run(job("raw"), sink) == Succeeded("null")
        await until(lambda: any(one["event"] == "raw bytes of the process" for one in logs))
    (line,) = [one for one in logs if one["event"] == "raw bytes of the process"]
    assert line["worker"].startswith("pool-")
    assert line["stream"] == "stdout"
    assert sink.messages(LogStream.STDOUT) == []


def test_it_works_on_uvloop_too(programs, module):
    async def scenario():
        async with serving(workers=2) as host:
            jobs = [programs.job(module, "echo", is_async=False, given={"n": n}) for n in range(20)]
            sink = type("S", (), {"write": lambda self, entries: None})()
            outcomes = await asyncio.gather(*[host.run(one, sink) for one in jobs])
            assert outcomes == [Succeeded(f'{{"n":{n}}}') for n in range(20)]
            gone_job = programs.job(module, "vanishes", is_async=False)
            assert "exited with code 3" in (await host.run(gone_job, sink)).message

    uvloop.run(scenario())


async def test_a_fault_leaves_its_stack_in_the_runtimes_log(host, job, sink):
    with structlog.testing.capture_logs() as logs:
        assert (await host.run(job("segfaults"), sink)).reason == "worker_lost"
    assert any(" in segfaults" in one["event"] for one in logs), logs


async def test_flows_without_lfx_say_what_to_install(host, programs, sink):
    host._has_lfx = False
    outcome = await host.run(programs.flow("prompt_echo"), sink)
    assert isinstance(outcome, NotLoaded)
    assert "nightcrew[langflow]" in outcome.error.message


async def test_it_is_not_run_when_it_is_not_served(job, sink):
    with pytest.raises(Unavailable):
        await ProcessHost().run(job("echo"), sink)


async def test_the_end_of_the_host_ends_its_runs(job, sink, mark, until):
    async with serving() as host:
        run = asyncio.create_task(host.run(job("sleeps", given={"mark": mark}), sink))
        await until(lambda: Path(mark).exists())
        pid = host.workers[0].pid
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "drained"
    assert gone(pid)


async def test_the_end_of_the_host_while_a_worker_starts(job, sink):
    async with serving() as host:
        run = asyncio.create_task(host.run(job("echo"), sink))
        await asyncio.sleep(0)
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "drained"


RUNTIME = """
import asyncio, sys
sys.path[:0] = {path!r}
from tests_support import job
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings

class Sink:
    def write(self, entries): pass

async def main():
    host = ProcessHost(ProcessSettings(workers=2))
    ready = asyncio.Event()
    life = asyncio.create_task(host.serve(ready.set))
    await ready.wait()
    await asyncio.gather(*[host.run(job(n), Sink()) for n in range(3)])

asyncio.run(main())
"""

SUPPORT = """
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.spec.program import Isolation, Program, PythonProgram
from nightcrew.ports.host import Job, ProgramSource

def job(n):
    attribute, is_async = [("starts_a_child", False), ("ablocks", True), ("starts_a_child", False)][n]
    source = ProgramSource(kind="python", name="{module}:x", path="{folder}/{module}.py", root="{folder}",
                           module="{module}", attribute=attribute, is_async=is_async)
    return Job(execution_id=str(n), lease=1, agent_id="a", attempt=1, source=source,
               program=Program(python=PythonProgram(entrypoint="m:f")), input={{"mark": "{folder}/mark%d" % n}},
               isolation=Isolation.POOL, trigger=TriggerRef(kind=TriggerKind.MANUAL))
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL])
async def test_no_worker_survives_the_runtime(module, tmp_path, until, stop):
    (tmp_path / "tests_support.py").write_text(SUPPORT.format(module=module, folder=tmp_path))
    (tmp_path / "runtime.py").write_text(RUNTIME.format(path=[str(tmp_path)]))
    runtime = subprocess.Popen(
        [sys.executable, str(tmp_path / "runtime.py")],
        env=os.environ | {"PYTHONPATH": ":".join(one for one in sys.path if one)},
    )
    try:
        await until(lambda: all((tmp_path / f"mark{n}").exists() for n in range(3)), seconds=30)
        family = psutil.Process(runtime.pid).children(recursive=True)
        assert len(family) >= 4, "two workers, and what they started"
    finally:
        runtime.send_signal(stop)
        runtime.wait()
    await until(lambda: all(gone(one.pid) for one in family), what="every process's end")


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
