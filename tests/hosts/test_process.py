"""ProcessHost with real worker processes: outcomes, crashes, memory, and what programs say."""

import asyncio
import dataclasses
import os
import signal
from pathlib import Path

import structlog
import uvloop
from tests.hosts.support.desk import DESK

from nightcrew.domain.log import LogStream
from nightcrew.hosts.process.host import MIB
from nightcrew.ports.host import Failed, Interrupted, NotLoaded, Succeeded


async def test_what_it_returns_and_how_it_fails(host, job, sink):
    assert await host.run(job("echo", given={"a": [1, "ü"]}), sink, DESK) == Succeeded('{"a":[1,"ü"]}')
    assert await host.run(job("aecho", is_async=True, given={"a": 1}), sink, DESK) == Succeeded('{"a":1}')
    assert await host.run(job("counts", memory={"n": 4}), sink, DESK) == Succeeded("5", '{"n":5}')
    assert await host.run(job("wrapped", given={"n": 3}), sink, DESK) == Succeeded("3")
    outcome = await host.run(job("fails"), sink, DESK)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "KeyError"
    assert outcome.error.traceback.splitlines()[1].endswith("in fails"), outcome.error.traceback
    outcome = await host.run(job("no_json"), sink, DESK)
    assert (outcome.error.type, outcome.error.retryable) == ("result_not_json", False)
    outcome = await host.run(job("exits"), sink, DESK)
    assert outcome.error.type == "SystemExit"
    outcome = await host.run(job("nothing_there"), sink, DESK)
    assert isinstance(outcome, NotLoaded)
    outcome = await host.run(job("speaks"), sink, DESK)
    assert (outcome.error.type, outcome.error.message) == ("invalid_input", "input.n: is required")
    assert len(host.workers) == 1, "none of these harms the worker"


async def test_it_runs_elsewhere_and_in_one_process(host, job, sink):
    pids = [await host.run(job("pid"), sink, DESK) for _ in range(3)]
    assert len(set(pids)) == 1
    assert pids[0] != Succeeded(str(os.getpid()))


async def test_a_process_that_ends_interrupts_its_run(host, job, sink):
    outcome = await host.run(job("vanishes"), sink, DESK)
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "worker_lost"
    assert "exited with code 3" in outcome.message
    assert sink.messages() == ["about to vanish"], "what it said before is kept"
    outcome = await host.run(job("segfaults"), sink, DESK)
    assert outcome.reason == "worker_lost"
    assert "SIGSEGV" in outcome.message
    assert await host.run(job("echo"), sink, DESK) == Succeeded("{}")


async def test_memory_without_end(serving, job, sink):
    async with serving(memory_limit=300 * MIB) as host:
        outcome = await host.run(job("allocates"), sink, DESK)
        assert outcome.reason == "worker_lost"
        assert "MiB of memory" in outcome.message
        assert "may use 300 MiB" in outcome.message
        assert await host.run(job("echo"), sink, DESK) == Succeeded("{}")


async def test_kill_minus_nine_of_a_worker_with_several_runs(host, job, sink, mark, until):
    jobs = [job("sleeps", given={"mark": f"{mark}{n}"}) for n in range(5)]
    runs = [asyncio.create_task(host.run(one, sink, DESK)) for one in jobs]
    await until(lambda: all(Path(f"{mark}{n}").exists() for n in range(5)))
    os.kill(host.workers[0].pid, signal.SIGKILL)
    for outcome in await asyncio.gather(*runs):
        assert outcome.reason == "worker_lost"
        assert "was killed by SIGKILL" in outcome.message
    again = [dataclasses.replace(one, lease=2, input={"mark": f"{mark}x", "seconds": 0}) for one in jobs]
    assert await asyncio.gather(*[host.run(one, sink, DESK) for one in again]) == [Succeeded('"slept"')] * 5


async def test_fifty_at_once_are_not_mixed_up(serving, programs, module, job):
    async with serving(workers=2) as host:
        sinks = [type("S", (), {"entries": [], "write": None})() for _ in range(50)]
        for one in sinks:
            one.entries = []
            one.write = one.entries.extend
        jobs = [job("speaks", given={"n": n}) for n in range(50)]
        outcomes = await asyncio.gather(*[host.run(*pair, DESK) for pair in zip(jobs, sinks, strict=True)])
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


async def test_a_flood_of_lines_is_bounded(host, job, sink):
    assert await host.run(job("floods", given={"lines": 12_000}), sink, DESK) == Succeeded("null")
    assert len(sink.entries) == 10_001
    assert sink.entries[9_999].message == "line 9999"
    assert "2000 log entries" in sink.entries[-1].message


async def test_big_values_pass(host, job, sink):
    outcome = await host.run(job("big", given={"size": 1_000_000}), sink, DESK)
    assert len(outcome.result) == 1_000_002
    outcome = await host.run(job("echo", given={"text": "y" * 1_000_000}), sink, DESK)
    assert len(outcome.result) > 1_000_000
    outcome = await host.run(job("big", given={"size": 1_100_000}), sink, DESK)
    assert outcome.error.type == "result_too_large"


async def test_a_worker_that_talks_nonsense_is_ended(host, job, sink):
    outcome = await host.run(job("talks_nonsense"), sink, DESK)
    assert outcome.reason == "worker_lost"
    assert "broke the protocol" in outcome.message
    assert await host.run(job("echo"), sink, DESK) == Succeeded("{}")


async def test_what_the_process_itself_prints_goes_to_the_runtimes_log(host, job, sink, until):
    with structlog.testing.capture_logs() as logs:
        assert await host.run(job("raw"), sink, DESK) == Succeeded("null")
        await until(lambda: any(one["event"] == "raw bytes of the process" for one in logs))
    (line,) = [one for one in logs if one["event"] == "raw bytes of the process"]
    assert line["worker"].startswith("pool-")
    assert line["stream"] == "stdout"
    assert sink.messages(LogStream.STDOUT) == []


def test_it_works_on_uvloop_too(serving, programs, module):
    async def scenario():
        async with serving(workers=2) as host:
            jobs = [programs.job(module, "echo", is_async=False, given={"n": n}) for n in range(20)]
            sink = type("S", (), {"write": lambda self, entries: None})()
            outcomes = await asyncio.gather(*[host.run(one, sink, DESK) for one in jobs])
            assert outcomes == [Succeeded(f'{{"n":{n}}}') for n in range(20)]
            gone_job = programs.job(module, "vanishes", is_async=False)
            assert "exited with code 3" in (await host.run(gone_job, sink, DESK)).message

    uvloop.run(scenario())


async def test_a_fault_leaves_its_stack_in_the_runtimes_log(host, job, sink):
    with structlog.testing.capture_logs() as logs:
        assert (await host.run(job("segfaults"), sink, DESK)).reason == "worker_lost"
    assert any(" in segfaults" in one["event"] for one in logs), logs


async def test_flows_without_lfx_say_what_to_install(host, programs, sink):
    host._has_lfx = False
    outcome = await host.run(programs.flow("prompt_echo"), sink, DESK)
    assert isinstance(outcome, NotLoaded)
    assert "nightcrew[langflow]" in outcome.error.message
