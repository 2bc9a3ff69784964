"""Events: what publishing costs beside 100 and 10,000 triggers, and one event that wakes a thousand agents."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
from benchmarks.crew import in_process, report, rows, rss_of, spec

from nightcrew.app.runtime import Runtime
from nightcrew.crew.commits import After
from nightcrew.domain.agent import AgentState
from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.ports.store import Transaction
from nightcrew.services.agents import add_agent
from nightcrew.services.once import Request
from nightcrew.system.clock import SystemClock

MATCHING = 100
"""Events of one batch, each of which one trigger matches."""
BATCHES = 60
CROWD = 1000
BY_BENCH = Request(method="bench")


def listening(name: str, kind: str, **match: str) -> dict[str, Any]:
    """The spec of an agent that events of one type wake; its backlog has no bound."""
    trigger = {"id": "event", "event": {"types": [kind], **match}}
    return {**spec(name), "triggers": [trigger], "execution": {"max_backlog": 0}}


async def register(runtime: Runtime, specs: dict[str, dict[str, Any]], state: AgentState) -> None:
    """Adds agents, a thousand in a transaction."""
    waiting = [Manifest(id=name, spec=AgentSpec.parse(one)) for name, one in specs.items()]
    for start in range(0, len(waiting), 1000):
        some = waiting[start : start + 1000]
        now = SystemClock().now()

        def unit(tx: Transaction, after: After, some: list[Manifest] = some, now: Any = now) -> None:
            for one in some:
                add_agent(tx, after, one, agent_id=one.id, now=now, state=state)

        await runtime.commits.run(unit)


async def publish(folder: Path, *, n: int) -> None:
    """Batches of a hundred events, each matched by one of `n` triggers of distinct types; the agents are paused, so
    that nothing but publishing, matching and queueing is measured."""
    types = [f"shop.kind{i:05d}" for i in range(n)]
    step = n // MATCHING
    async with in_process(folder) as runtime:
        await register(
            runtime, {f"agent{i}": listening("noop", kind) for i, kind in enumerate(types)}, AgentState.PAUSED
        )
        matched, unmatched = [], []
        cpu = time.process_time()
        for _ in range(BATCHES):
            drafts = [Draft(type=kind, source="/bench", data={"n": 1}) for kind in types[::step]]
            begun = time.perf_counter()
            await runtime.services.events.publish(drafts, request=BY_BENCH)
            matched.append(time.perf_counter() - begun)
        used = time.process_time() - cpu
        for _ in range(BATCHES):
            drafts = [Draft(type="other", source="/bench", data={"n": 1}) for _ in range(MATCHING)]
            begun = time.perf_counter()
            await runtime.services.events.publish(drafts, request=BY_BENCH)
            unmatched.append(time.perf_counter() - begun)
        memory = rss_of(psutil.Process())
    ((made,),) = rows(folder, "SELECT count(*) FROM executions")
    assert made == MATCHING * BATCHES, f"{made} executions of {MATCHING * BATCHES}"
    report(
        matched_us=1e6 * statistics.median(matched) / MATCHING,
        per_second=MATCHING / statistics.median(matched),
        unmatched_us=1e6 * statistics.median(unmatched) / MATCHING,
        cpu_us=1e6 * used / made,
        rss_mib=memory,
    )


async def all_have_run(folder: Path, count: int) -> None:
    """Returns once so many executions have ended, on disk."""
    while True:
        if rows(folder, "SELECT count(*) FROM executions WHERE end_time IS NOT NULL") == [(count,)]:
            return
        await asyncio.sleep(0.01)


async def crowd(folder: Path, *, n: int) -> None:
    """One event that wakes `n` agents: until it is answered, until a bystander's call is, until all have run."""
    async with in_process(folder) as runtime:
        agents = {f"agent{i}": listening("noop", "crowd") for i in range(n)}
        await register(runtime, {**agents, "bystander": spec("noop")}, AgentState.ACTIVE)
        publishing = runtime.services.events.publish
        answered, beside, ended = [], [], []
        for number in range(1, 6):
            begun = time.perf_counter()
            task = asyncio.create_task(
                publishing([Draft(type="crowd", source="/bench", data={"n": 1})], request=BY_BENCH)
            )
            await asyncio.sleep(0)
            other = asyncio.create_task(publishing([Draft(type="other", source="/bench")], request=BY_BENCH))
            await task
            answered.append(time.perf_counter() - begun)
            await other
            beside.append(time.perf_counter() - begun)
            await all_have_run(folder, n * number)
            ended.append(time.perf_counter() - begun)
    report(
        answered_ms=1e3 * statistics.median(answered),
        beside_ms=1e3 * statistics.median(beside),
        ended_ms=1e3 * statistics.median(ended),
    )
