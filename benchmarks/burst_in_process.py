"""A burst in process: no-op executions through the use cases, each awaited on its own or a thousand in a call."""

import asyncio
import time
from pathlib import Path

import psutil
from benchmarks.crew import check_all_succeeded, cpu_of, in_process, register, report, rss_of, spec

from nightcrew.app.runtime import Runtime
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request

AGENTS = 1000
FLIGHT = 256
BATCH = 1000


def wish(i: int) -> Triggering:
    return Triggering(agent_id=f"a{i % AGENTS}", request=Request(method="bench"), input={"i": i})


async def each(runtime: Runtime, n: int) -> None:
    """One call an execution, 256 in flight."""
    work = iter(range(n))

    async def caller() -> None:
        for i in work:
            await runtime.services.executions.trigger(wish(i))

    await asyncio.gather(*(caller() for _ in range(FLIGHT)))


async def batch(runtime: Runtime, n: int) -> None:
    """A thousand executions a call, one call after the other."""
    for start in range(0, n, BATCH):
        done = await runtime.services.executions.trigger_many(
            [wish(i) for i in range(start, min(start + BATCH, n))]
        )
        for one in done:
            if isinstance(one, Exception):
                raise one


async def ended(runtime: Runtime) -> None:
    """Returns once nothing is queued or running, on disk."""
    while True:
        figures = await runtime.store.reads.store_figures()
        if not figures.running and not figures.queued:
            return
        await asyncio.sleep(0.01)


async def run(folder: Path, *, n: int, way: str) -> None:
    me = psutil.Process()
    async with in_process(folder) as runtime:
        await register(runtime, ((f"a{i}", spec("noop")) for i in range(AGENTS)))
        commits, cpu, begun = runtime.store.commits, cpu_of(me), time.perf_counter()
        await (each if way == "each" else batch)(runtime, n)
        submitted = time.perf_counter() - begun
        await ended(runtime)
        took = time.perf_counter() - begun
        figures = {
            "per_second": n / took,
            "submitted_per_second": n / submitted,
            "cpu_us": 1e6 * (cpu_of(me) - cpu) / n,
            "units": 2 * n / (runtime.store.commits - commits),
            "rss_mib": rss_of(me),
        }
    check_all_succeeded(folder, n)
    report(**figures)
