"""Cancel and kill in worker processes: what heeds it, what does not, and who else is hit."""

import asyncio
from pathlib import Path

import psutil
import pytest
from tests.hosts.support.desk import DESK

from nightcrew.ports.host import Cancelled, Interrupted, Succeeded


async def test_cancel_of_a_sync_program(host, job, sink, mark, until):
    for attribute, outcome in (
        ("spins", Cancelled()),
        ("heeds", Succeeded('"heeded"')),
        ("makes_good", Cancelled()),
    ):
        path = f"{mark}-{attribute}"
        one = job(attribute, given={"mark": path})
        run = asyncio.create_task(host.run(one, sink, DESK))
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
    assert await host.run(job("echo"), sink, DESK) == Succeeded("{}")


async def test_cancel_of_an_async_program(host, job, sink, mark, until):
    one = job("asleeps", is_async=True, given={"mark": mark})
    run = asyncio.create_task(host.run(one, sink, DESK))
    await until(lambda: Path(mark).exists())
    host.cancel(one.execution_id, one.lease)
    assert await run == Cancelled()


async def test_cancel_at_any_moment_gives_one_outcome(host, job, sink):
    for delay in range(40):
        one = job("echo" if delay % 2 else "aecho", is_async=not delay % 2)
        run = asyncio.create_task(host.run(one, sink, DESK))
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
    run = asyncio.create_task(host.run(one, sink, DESK))
    await until(lambda: Path(mark).exists())
    host.cancel(one.execution_id, one.lease)
    # It gets no neighbours any more: the next job is run by a worker that is started beside it.
    stuck = host.workers[0].pid
    neighbour = await host.run(job("pid"), sink, DESK)
    assert neighbour != Succeeded(str(stuck))
    assert not run.done()
    host.kill(one.execution_id, one.lease)
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "killed"
    assert not psutil.pid_exists(stuck)
    assert await host.run(job("pid"), sink, DESK) == neighbour


async def test_neighbours_of_a_killed_run_are_interrupted(host, job, sink, mark, until):
    victim, other = (job("sleeps", given={"mark": f"{mark}{n}"}) for n in range(2))
    runs = [asyncio.create_task(host.run(one, sink, DESK)) for one in (victim, other)]
    await until(lambda: all(Path(f"{mark}{n}").exists() for n in range(2)))
    host.kill(victim.execution_id, victim.lease)
    first, second = await asyncio.gather(*runs)
    assert first.reason == "killed"
    assert second.reason == "worker_lost"
    assert victim.execution_id in second.message


async def test_what_a_worker_started_dies_with_it(gone, host, job, sink, mark, until):
    one = job("starts_a_child", given={"mark": mark})
    run = asyncio.create_task(host.run(one, sink, DESK))
    await until(lambda: Path(mark).exists())
    child = int(Path(mark).read_text())
    assert psutil.pid_exists(child)
    host.kill(one.execution_id, one.lease)
    await run
    await until(lambda: gone(child))


async def test_cancelling_the_awaiting_task_kills_the_job(gone, host, job, sink, mark, until):
    run = asyncio.create_task(host.run(job("sleeps", given={"mark": mark}), sink, DESK))
    await until(lambda: Path(mark).exists())
    pid = host.workers[0].pid
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: gone(pid))
