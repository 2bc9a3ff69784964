"""Schedules: 1,000 of 20,000 agents due at one instant, 100 a second, and what 100,000 idle agents cost."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.crew import cpu_of, in_its_own_process, in_process, register, report, rows, rss_of, spec

from nightcrew.client import Client

DUE = 1000
AHEAD = 8.0
"""Seconds until the instant at which they are due; they are registered meanwhile."""
PACE = 100
"""Fires a second that come evenly."""
DONE = "SELECT count(*) FROM executions WHERE state = 'STATE_SUCCEEDED'"
SETTLING = 2.0
WATCHED = 10.0


def idle(n: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Agents whose crons are spread over the days of a year that is not today's."""
    day = datetime.now(UTC) + timedelta(days=30)
    for i in range(n):
        when = day + timedelta(minutes=i)
        yield (
            f"idle{i}",
            spec("stamp", {"cron": {"expression": f"{when.minute} {when.hour} {when.day} {when.month} *"}}),
        )


async def planned(folder: Path) -> None:
    """Returns once the next time of every schedule is known, on disk."""
    while True:
        if not rows(folder, "SELECT 1 FROM schedule_cursors WHERE next_time IS NULL LIMIT 1"):
            return
        await asyncio.sleep(0.1)


async def fire(folder: Path, *, n: int) -> None:
    """1,000 agents are due at the same instant, beside the others: how late their bodies are entered."""
    async with in_process(folder) as box:
        await register(box, idle(n - DUE))
        await planned(folder)
    with in_its_own_process(folder) as (address, server, _):
        async with Client(address) as crew:
            due = datetime.fromtimestamp(int(time.time() + AHEAD), UTC)
            trigger = {"date": {"time": due.isoformat().replace("+00:00", "Z")}}
            manifests = [
                {"id": f"due{i}", "labels": {"bench": "due"}, "spec": spec("stamp", trigger)}
                for i in range(DUE)
            ]
            await crew.agents.apply(manifests)
            await crew.agents.start_all({"bench": "due"})
            left = due.timestamp() - time.time()
            assert left > 1, f"registering took too long: {left:.1f} s are left"
            await asyncio.sleep(left)
            until = time.monotonic() + 20
            while time.monotonic() < until:
                if rows(folder, DONE) == [(DUE,)]:
                    break
                await asyncio.sleep(0.05)
            memory = rss_of(server)
    late = sorted(
        1000 * (entered - due.timestamp())
        for (entered,) in rows(
            folder, "SELECT result ->> 'entered' FROM executions WHERE state = 'STATE_SUCCEEDED'"
        )
    )
    ended = max(end for (end,) in rows(folder, "SELECT end_time / 1e3 FROM executions"))
    fires = rows(folder, "SELECT outcome, count(*) FROM fires GROUP BY outcome")
    assert len(late) == DUE, f"{len(late)} of {DUE} have fired"
    assert fires == [("OUTCOME_STARTED", DUE)], f"the ledger says {fires}"
    report(
        p50_ms=late[DUE // 2],
        p99_ms=late[DUE * 99 // 100],
        max_ms=late[-1],
        ended_ms=ended - 1000 * due.timestamp(),
        rss_mib=memory,
    )


async def paced(folder: Path, *, n: int) -> None:
    """Agents whose intervals are spread evenly, 100 fires a second: how late their bodies are entered."""
    every = n / PACE
    agents = (
        (f"paced{i}", spec("stamp", {"interval": {"every": f"{every:g}s", "phase": f"{i / PACE:g}s"}}))
        for i in range(n)
    )
    async with in_process(folder) as box:
        await register(box, agents)
        await planned(folder)
    with in_its_own_process(folder) as (_, server, _took):
        await asyncio.sleep(SETTLING)
        begun = time.time()
        await asyncio.sleep(WATCHED)
        used = cpu_of(server)
        memory = rss_of(server)
        ended = time.time()
    late = sorted(
        1000 * (entered - due)
        for due, entered in rows(
            folder,
            "SELECT nominal_time / 1e6, result ->> 'entered' FROM executions WHERE state = 'STATE_SUCCEEDED'",
        )
        if begun <= due <= ended - 1
    )
    expected = PACE * (ended - 1 - begun)
    assert abs(len(late) - expected) < PACE / 4, f"{len(late)} have fired, expected {expected:.0f}"
    report(
        p50_ms=late[len(late) // 2],
        p99_ms=late[len(late) * 99 // 100],
        max_ms=late[-1],
        rss_mib=memory,
        cpu_s=used,
    )


async def rest(folder: Path, *, n: int) -> None:
    """Agents with schedules that are not due: start, memory, CPU."""
    begun = time.perf_counter()
    async with in_process(folder) as box:
        await register(box, idle(n))
        registered = time.perf_counter() - begun
        await planned(folder)
        known = time.perf_counter() - begun
    with in_its_own_process(folder) as (address, server, took):
        async with Client(address) as crew:
            figures = await crew.runtime.get()
            assert figures.agent_counts["STATE_ACTIVE"] == n, figures
        await asyncio.sleep(SETTLING)
        cpu = cpu_of(server)
        await asyncio.sleep(WATCHED)
        used = cpu_of(server) - cpu
        report(
            start_s=took,
            rss_mib=rss_of(server),
            cpu_percent=100 * used / WATCHED,
            registered_s=registered,
            planned_s=known,
        )
