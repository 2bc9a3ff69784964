"""InlineHost: outcomes, cancel, kill, and the program that blocks the loop."""

import asyncio
import json

import pytest
from tests.hosts.support.desk import DESK

from nightcrew.hosts.inline import InlineHost
from nightcrew.ports.host import Abandoned, Cancelled, Failed, Interrupted, NotLoaded, Succeeded
from nightcrew.system.clock import SystemClock

CODE = """
import asyncio, contextvars, logging, sys, time
from dataclasses import dataclass
from nightcrew.agent import NonRetryable
import structlog

started = {}

async def echo(input):
    return input

async def fails(input):
    raise KeyError("gone")

async def gives_up():
    raise NonRetryable("never")

async def exits():
    sys.exit(4)

async def cancels_itself():
    raise asyncio.CancelledError

async def no_json():
    return {1, 2}

async def counts(ctx):
    ctx.state["n"] = ctx.state.get("n", 0) + 1
    return ctx.state["n"]

async def spoils(ctx):
    ctx.state["x"] = object()

async def waits(ctx):
    started[ctx.execution_id] = True
    await asyncio.sleep(60)

async def makes_good(ctx):
    started[ctx.execution_id] = True
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "made good"

async def holds_on(ctx):
    started[ctx.execution_id] = True
    while not started.get("let go"):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
    return "late"

async def blocks(seconds):
    time.sleep(seconds)
    return "blocked"

async def blocks_in_a_child(seconds):
    async def child():
        time.sleep(seconds)
    async with asyncio.TaskGroup() as group:
        group.create_task(child())

async def speaks(ctx, n):
    print("printed", n)
    logging.getLogger("some").warning("logged %s", n, extra={"n": n})
    structlog.get_logger().info("structured", n=n)
    ctx.log.error("own", n=n)
    await asyncio.to_thread(print, "thread", n)
    await asyncio.create_task(child(n))
    print("no newline", n, end="")

async def child(n):
    print("child", n, file=sys.stderr)
"""


@pytest.fixture
def host(http_runner):
    made = InlineHost(SystemClock(), http=http_runner)
    yield made
    made.close()


@pytest.fixture
def module(programs):
    return programs.write(CODE)


async def test_what_it_returns(host, programs, module, sink):
    outcome = await host.run(programs.job(module, "echo", given={"a": [1, None]}), sink, DESK)
    assert outcome == Succeeded('{"a":[1,null]}')
    assert host.running == 0


async def test_how_it_fails(host, programs, module, sink):
    outcome = await host.run(programs.job(module, "fails"), sink, DESK)
    assert isinstance(outcome, Failed)
    assert outcome.error.type == "KeyError"
    assert outcome.error.retryable
    assert 'raise KeyError("gone")' in outcome.error.traceback
    assert "hosts/inline.py" not in outcome.error.traceback
    assert "programs/entry.py" not in outcome.error.traceback

    outcome = await host.run(programs.job(module, "gives_up"), sink, DESK)
    assert (outcome.error.type, outcome.error.retryable) == ("NonRetryable", False)
    outcome = await host.run(programs.job(module, "exits"), sink, DESK)
    assert outcome.error.type == "SystemExit"
    outcome = await host.run(programs.job(module, "cancels_itself"), sink, DESK)
    assert outcome.error.type == "CancelledError", "nobody asked for a cancel"
    outcome = await host.run(programs.job(module, "no_json"), sink, DESK)
    assert (outcome.error.type, outcome.error.retryable) == ("result_not_json", False)
    outcome = await host.run(programs.job(module, "blocks"), sink, DESK)
    assert (outcome.error.type, outcome.error.message) == ("invalid_input", "input.seconds: is required")


async def test_what_can_not_be_loaded(host, programs, module, sink):
    outcome = await host.run(programs.job(module, "nothing_there"), sink, DESK)
    assert isinstance(outcome, NotLoaded)
    assert outcome.error.type == "program_load"
    assert "nothing_there" in outcome.error.message
    bad = programs.write("x = 1\ndef f(:\n", name="prog_bad")
    outcome = await host.run(programs.job(bad, "f"), sink, DESK)
    assert isinstance(outcome, NotLoaded)
    assert "prog_bad.py:2" in outcome.error.message


async def test_state(host, programs, module, sink):
    outcome = await host.run(programs.job(module, "counts", memory={"n": 4}), sink, DESK)
    assert outcome == Succeeded("5", '{"n":5}')
    outcome = await host.run(programs.job(module, "spoils"), sink, DESK)
    assert (outcome.error.type, outcome.error.retryable) == ("state_not_json", False)
    job = programs.job(module, "counts", memory=None, memory_refusal="max_concurrency is 3")
    outcome = await host.run(job, sink, DESK)
    assert outcome.error.type == "StateUnavailable"
    assert "is 3" in outcome.error.message


async def test_cancel(host, programs, module, sink, until):
    job = programs.job(module, "waits")
    run = asyncio.create_task(host.run(job, sink, DESK))
    started = await started_of(module, until, job)
    assert started
    host.cancel(job.execution_id, lease=2)
    host.cancel("other", lease=1)
    await asyncio.sleep(0)
    assert not run.done()
    host.cancel(job.execution_id, job.lease)
    assert await run == Cancelled()


async def test_one_that_returns_in_its_grace_has_succeeded(host, programs, module, sink, until):
    job = programs.job(module, "makes_good")
    run = asyncio.create_task(host.run(job, sink, DESK))
    await started_of(module, until, job)
    host.cancel(job.execution_id, job.lease)
    assert await run == Succeeded('"made good"')


async def test_cancel_before_the_first_step(host, programs, module, sink):
    job = programs.job(module, "waits")
    run = asyncio.create_task(host.run(job, sink, DESK))
    await asyncio.sleep(0)
    host.cancel(job.execution_id, job.lease)
    assert await run == Cancelled()


async def test_kill(host, programs, module, sink, until):
    job = programs.job(module, "waits")
    run = asyncio.create_task(host.run(job, sink, DESK))
    await started_of(module, until, job)
    host.kill(job.execution_id, job.lease)
    assert await run == Interrupted("killed")


async def test_one_that_holds_on_is_abandoned(host, programs, module, sink, until):
    job = programs.job(module, "holds_on")
    run = asyncio.create_task(host.run(job, sink, DESK))
    started = await started_of(module, until, job)
    host.cancel(job.execution_id, job.lease)
    host.kill(job.execution_id, job.lease)
    outcome = await run
    assert isinstance(outcome, Abandoned)
    assert f"{module}.py:" in outcome.message
    assert host.running == 1
    started["let go"] = True
    await until(lambda: host.running == 0)


async def test_cancelling_the_awaiting_task_ends_the_program(host, programs, module, sink, until):
    job = programs.job(module, "waits")
    run = asyncio.create_task(host.run(job, sink, DESK))
    await started_of(module, until, job)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: host.running == 0)


@pytest.mark.parametrize("attribute", ["blocks", "blocks_in_a_child"])
async def test_one_that_blocks_the_loop_is_named(host, programs, module, sink, until, attribute):
    job = programs.job(module, attribute, given={"seconds": 0.6})
    await host.run(job, sink, DESK)
    assert host.blocked == 1
    await until(lambda: len(sink.entries) == 1)
    (entry,) = sink.entries
    assert "blocks the event loop" in entry.message
    assert "time.sleep(seconds)" in entry.fields["stack"]


async def test_many_short_ones_are_not_named(host, programs, module, sink):
    jobs = [programs.job(module, "blocks", given={"seconds": 0.01}) for _ in range(60)]
    await asyncio.gather(*[host.run(one, sink, DESK) for one in jobs])
    assert host.blocked == 0, "together they held the loop for 0.6 s, but none of them did"


async def test_one_that_does_not_block_is_not_named(host, programs, module, sink):
    await host.run(programs.job(module, "blocks", given={"seconds": 0.1}), sink, DESK)
    await host.run(programs.job(module, "echo"), sink, DESK)
    assert host.blocked == 0


async def test_fifty_at_once_are_not_mixed_up(host, programs, module, until, capturing):
    sinks = {}
    runs = []
    for n in range(50):
        job = programs.job(module, "speaks", given={"n": n})
        sinks[n] = type("S", (), {})()
        sinks[n].entries = []
        sinks[n].write = sinks[n].entries.extend
        runs.append(host.run(job, sinks[n], DESK))
    with capturing():
        outcomes = await asyncio.gather(*runs)
    assert all(isinstance(one, Succeeded) for one in outcomes), outcomes
    for n, sink in sinks.items():
        await until(lambda sink=sink: len(sink.entries) >= 7, what=f"7 entries of {n}")
        said = sorted((one.stream.name, one.severity.name, one.message) for one in sink.entries)
        assert said == sorted(
            [
                ("STDOUT", "INFO", f"printed {n}"),
                ("LOG", "WARNING", f"logged {n}"),
                ("LOG", "INFO", "structured"),
                ("LOG", "ERROR", "own"),
                ("STDOUT", "INFO", f"thread {n}"),
                ("STDERR", "WARNING", f"child {n}"),
                ("STDOUT", "INFO", f"no newline {n}"),
            ]
        )
        fields = [one.fields for one in sink.entries if one.fields]
        assert all(one["n"] == n for one in fields)
        json.dumps(fields)


async def started_of(module, until, job):
    import sys

    await until(lambda: module in sys.modules)
    started = sys.modules[module].started
    await until(lambda: job.execution_id in started)
    return started
