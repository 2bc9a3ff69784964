"""Where jobs are placed: shared, dedicated and own workers, bounds, blocked and idle ones, failing starts."""

import asyncio
import dataclasses
import sys
import time
from pathlib import Path

from tests.hosts.support.desk import DESK

from nightcrew.domain.spec.program import Isolation
from nightcrew.ports.host import Cancelled, Succeeded


async def test_dedicated_and_own_workers(host, job, sink, until):
    pool = await host.run(job("pid"), sink, DESK)
    one, two = (
        dataclasses.replace(job("pid"), isolation=Isolation.DEDICATED, agent_id=name) for name in ("a", "b")
    )
    first, second = await host.run(one, sink, DESK), await host.run(two, sink, DESK)
    assert len({pool.result, first.result, second.result}) == 3
    assert await host.run(dataclasses.replace(one, lease=2), sink, DESK) == first, "kept while it is used"
    own = await host.run(dataclasses.replace(job("pid"), own_worker=True), sink, DESK)
    other = await host.run(dataclasses.replace(job("pid"), own_worker=True), sink, DESK)
    assert len({pool.result, first.result, second.result, own.result, other.result}) == 5
    await until(lambda: len(host.workers) == 3, what="own workers end after their run")


async def test_work_is_shared_evenly(serving, job, sink):
    async with serving(workers=2) as host:
        pids = await asyncio.gather(*[host.run(job("slow_pid"), sink, DESK) for _ in range(40)])
        counts = sorted(pids.count(one) for one in set(pids))
        assert len(counts) == 2
        assert counts[0] >= 10, counts


async def test_no_work_goes_to_a_worker_whose_loop_is_blocked(host, job, sink, mark, until, monkeypatch):
    monkeypatch.setattr("nightcrew.hosts.process.link.STUCK_AFTER", 1.5)
    stuck = job("ablocks", is_async=True, given={"mark": mark})
    run = asyncio.create_task(host.run(stuck, sink, DESK))
    await until(lambda: Path(mark).exists())
    (blocked,) = host.workers
    assert await host.run(job("pid"), sink, DESK) == Succeeded(str(blocked.pid)), (
        "a sync program has its own thread"
    )
    await until(lambda: blocked.stuck)
    assert await host.run(job("aecho", is_async=True), sink, DESK) == Succeeded("{}")
    assert len(host.workers) == 2
    host.kill(stuck.execution_id, stuck.lease)
    assert (await run).reason == "killed"


async def test_idle_workers_end(serving, job, sink, until):
    async with serving(idle_timeout=0.3) as host:
        first = await host.run(job("pid"), sink, DESK)
        await until(lambda: host.workers == [])
        assert await host.run(job("pid"), sink, DESK) != first


async def test_a_bound_of_runs_in_a_worker(serving, job, sink, mark, until):
    async with serving(runs_per_worker=1) as host:
        first = job("sleeps", given={"mark": mark})
        run = asyncio.create_task(host.run(first, sink, DESK))
        await until(lambda: Path(mark).exists())
        waiting = job("echo")
        second = asyncio.create_task(host.run(waiting, sink, DESK))
        third_job = job("echo")
        third = asyncio.create_task(host.run(third_job, sink, DESK))
        await asyncio.sleep(0)
        host.cancel(waiting.execution_id, waiting.lease)
        assert await second == Cancelled(), "one that waits ends at once"
        host.kill(third_job.execution_id, third_job.lease)
        assert (await third).reason == "killed"
        fourth = asyncio.create_task(host.run(job("echo"), sink, DESK))
        await asyncio.sleep(0)
        host.kill(first.execution_id, first.lease)
        assert (await run).reason == "killed"
        assert await fourth == Succeeded("{}")


async def test_workers_that_do_not_come_up(serving, job, sink, monkeypatch, tmp_path):
    broken = tmp_path / "broken-python"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 9\n")
    broken.chmod(0o755)
    async with serving() as host:
        real = sys.executable
        monkeypatch.setattr(sys, "executable", str(broken))
        outcome = await host.run(job("echo"), sink, DESK)
        assert outcome.reason == "worker_lost"
        assert "exited with code 9" in outcome.message
        began = time.monotonic()
        outcome = await host.run(job("echo"), sink, DESK)
        assert outcome.reason == "worker_lost"
        assert time.monotonic() - began > 0.3, "the second start waited"
        monkeypatch.setattr(sys, "executable", real)
        assert await host.run(job("echo"), sink, DESK) == Succeeded("{}")
