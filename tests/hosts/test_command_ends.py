"""Commands that must be ended: cancels, kills, what they forked, limits, and those that wait for their turn."""

import asyncio

import pytest
from tests.hosts.support.commands import alive, job_of, sh, started
from tests.hosts.support.desk import DESK

from nightcrew.domain.log import LogStream
from nightcrew.hosts.command.groups import kill_survivors
from nightcrew.ports.host import Cancelled, Interrupted, Succeeded


async def test_a_cancel_asks_and_what_ends_by_it_is_cancelled(run, sink):
    task = await started(run, sink, *sh("echo up >&2; sleep 60"))
    run.host.cancel("execution-1", 1)
    assert await task == Cancelled()


async def test_one_that_returns_in_its_grace_has_succeeded(run, sink):
    task = await started(run, sink, *sh("trap 'echo 5; exit 0' TERM; echo up >&2; sleep 60 & wait"))
    run.host.cancel("execution-1", 1)
    assert await task == Succeeded("5")


async def test_one_that_does_not_end_by_sigterm_is_killed(run, sink, until):
    task = await started(run, sink, *sh("trap 'echo no >&2' TERM; echo up >&2; while :; do sleep 0.05; done"))
    run.host.cancel("execution-1", 1)
    await until(lambda: "no" in sink.messages())
    assert not task.done()
    run.host.kill("execution-1", 1)
    assert await task == Interrupted("killed")


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
    task = await started(run, sink, *argv)
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
    await until(lambda: not any(map(alive, pids)))


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
    task = await started(run, sink, *argv)
    pid = int(sink.messages(LogStream.STDERR)[0])
    assert await task == Succeeded("null")
    assert alive(pid)
    assert kill_survivors(str(tmp_path / "other")) == 0
    assert kill_survivors(str(tmp_path / "data")) == 1
    await until(lambda: not alive(pid))


async def _watched(host, *jobs, sink):
    watch = asyncio.create_task(host.watch())
    try:
        return await asyncio.gather(*(host.run(one, sink, DESK) for one in jobs))
    finally:
        watch.cancel()


async def test_too_much_memory_or_too_many_processes_end_it(command_host, sink, python, tmp_path):
    host = command_host(memory=200 * 1024**2, processes=8)
    greedy = python("import time\nheld = b'x' * 400_000_000\ntime.sleep(60)", "greedy.py")
    bomb = sh("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; wait")
    jobs = [job_of(tmp_path, *greedy, execution_id="a"), job_of(tmp_path, *bomb, execution_id="b")]
    first, second = await _watched(host, *jobs, sink=sink)
    assert (first.error.type, second.error.type) == ("memory_limit", "process_limit")
    assert "a command may use 200 MiB" in first.error.message


async def test_the_kernels_limits(command_host, sink, tmp_path):
    host = command_host(cpu_seconds=1, file_size=10_000)
    outcome = await host.run(job_of(tmp_path, *sh("head -c 20000 /dev/zero > big; echo $?")), sink, DESK)
    assert (tmp_path / "big").stat().st_size == 10_000
    assert outcome != Succeeded("0")
    outcome = await host.run(job_of(tmp_path, *sh("while :; do :; done")), sink, DESK)
    assert outcome.error.type == "signal_SIGXCPU"
    assert "it used all the CPU time that it may" in outcome.error.message


async def test_so_many_run_at_once_and_those_that_wait_can_be_ended(command_host, sink, tmp_path, until):
    host = command_host(at_once=1)
    jobs = [job_of(tmp_path, *sh("sleep 60"), execution_id=name) for name in "abcd"]
    tasks = [asyncio.create_task(host.run(job, sink, DESK)) for job in jobs]
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
    assert await host.run(job_of(tmp_path, *sh("echo 1")), sink, DESK) == Succeeded("1")
