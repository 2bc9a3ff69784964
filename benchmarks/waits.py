"""Waits: very many that leave memory, a restart, and all of them woken at once, by time, an event or a signal each.

Beside them somebody triggers another agent all the time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from benchmarks.crew import in_its_own_process, in_process, register, report, rows, rss_of, spec

from nightcrew.app.runtime import Runtime
from nightcrew.client import Client
from nightcrew.client.models.event import NewEvent
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request

PACE = 2000
"""So many are entered first, to see how far ahead the moment must lie at which the others are due."""
SLACK = 1.7
AHEAD = 20.0
FAR = 86_400.0
BATCH = 500
FLIGHT = 64
GIVEN_UP = 400.0
UNBOUND = {"max_concurrency": 0, "max_backlog": 0}
WAITING = "SELECT count(*) FROM executions WHERE state = 'STATE_WAITING' AND agent_id LIKE 'a%'"
DONE = "SELECT count(*) FROM executions WHERE state = 'STATE_SUCCEEDED' AND agent_id LIKE 'a%'"
ORDER = (
    "SELECT e.result ->> 'woken', coalesce(s.until, 0), s.seq"
    " FROM executions AS e JOIN steps AS s ON s.execution = e.seq WHERE e.state = 'STATE_SUCCEEDED'"
    " AND e.agent_id LIKE 'a%' AND s.kind != 'now'"
)


async def run(folder: Path, *, n: int, agents: int, kinds: Sequence[str], wakes: str = "time") -> None:
    due, entered = await enter(folder, n, agents, kinds, timed=wakes == "time")
    with in_its_own_process(folder) as (address, server, took):
        memory = rss_of(server)
        async with Client(address) as crew, bystander(crew, server) as seen:
            if wakes == "time":
                left = due - time.time()
                assert left > 1, f"entering took too long: {left:.1f} s are left"
                assert rows(folder, WAITING) == [(n,)]
                await asyncio.sleep(left)
            begun = due if wakes == "time" else time.time()
            await wake(crew, folder, wakes)
            while rows(folder, DONE) != [(n,)]:
                assert time.time() < begun + GIVEN_UP, f"{rows(folder, DONE)} of {n} have ended"
                await asyncio.sleep(0.25)
            ended = time.time()
            beside = sorted(1000 * took for at, took in seen["took"] if at > begun)
            peak = seen["peak"]
    found = rows(folder, ORDER)
    late = sorted(woken - begun for woken, _, _ in found)
    report(
        entered_per_second=n / entered,
        start_s=took,
        rss_mib=memory,
        per_second=n / (ended - begun),
        late_p50_s=late[n // 2],
        late_max_s=late[-1],
        peak_mib=peak,
        beside_ms=beside[len(beside) // 2],
        beside_p99_ms=beside[len(beside) * 99 // 100],
        **({} if wakes == "signals" else {"displaced": displaced(found, by_time=wakes == "time")}),
    )


async def enter(
    folder: Path, n: int, agents: int, kinds: Sequence[str], *, timed: bool
) -> tuple[float, float]:
    """Has so many wait, on disk; gives when they are due, and how many seconds it took."""
    waiting = {**spec("waiter"), "execution": UNBOUND}
    async with in_process(folder) as box:
        await register(box, ((f"a{i}", waiting) for i in range(agents)))
        await register(box, [("beneath", {**spec("child"), "execution": UNBOUND}), ("beside", spec("noop"))])
        await register(box, [("pace", waiting)])
        far = time.time() + FAR
        pace = await let_wait(box, folder, min(PACE, n), ["pace"], kinds, far)
        due = time.time() + AHEAD + SLACK * n * pace / min(PACE, n) if timed else far
        took = await let_wait(box, folder, n, [f"a{i}" for i in range(agents)], kinds, due)
    return due, took


async def let_wait(
    box: Runtime, folder: Path, n: int, agents: Sequence[str], kinds: Sequence[str], due: float
) -> float:
    """Triggers so many and returns how many seconds it took until all wait, on disk."""
    begun = time.perf_counter()
    for start in range(0, n, BATCH):
        wishes = [
            Triggering(
                agent_id=agents[i % len(agents)],
                request=Request(method="bench"),
                input={"kind": kinds[i % len(kinds)], "due": due},
            )
            for i in range(start, min(start + BATCH, n))
        ]
        for one in await box.services.executions.trigger_many(wishes):
            if isinstance(one, Exception):
                raise one
    like = WAITING.replace("a%", f"{agents[0][:1]}%")
    while rows(folder, like) != [(n,)]:
        assert time.time() < due, "they are due before all of them wait: the machine is too busy"
        await asyncio.sleep(0.1)
    return time.perf_counter() - begun


@asynccontextmanager
async def bystander(crew: Client, server: psutil.Process) -> AsyncIterator[dict[str, Any]]:
    """Somebody who triggers an idle agent and waits for its result, again and again."""
    seen: dict[str, Any] = {"took": [], "peak": 0.0}

    async def ask() -> None:
        while True:
            begun = time.perf_counter()
            await crew.agents.trigger("beside", {}, wait=60)
            seen["took"].append((time.time(), time.perf_counter() - begun))
            seen["peak"] = max(seen["peak"], rss_of(server))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(ask())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def wake(crew: Client, folder: Path, wakes: str) -> None:
    """What they wait for, if it is not time."""
    if wakes == "event":
        await crew.events.publish([NewEvent(type="bench.go", source="/bench")])
    elif wakes == "signals":
        waiting = iter(rows(folder, WAITING.replace("count(*)", "id")))

        async def send() -> None:
            for (execution_id,) in waiting:
                await crew.executions.signal(execution_id, "go")

        await asyncio.gather(*(send() for _ in range(FLIGHT)))


def displaced(found: Sequence[tuple[float, int, int]], *, by_time: bool) -> int:
    """How many places the one that came back most out of its turn was off."""
    turns = sorted(range(len(found)), key=lambda one: found[one][1 if by_time else 2])
    places = sorted(range(len(found)), key=lambda one: found[one][0])
    place = {one: number for number, one in enumerate(places)}
    return max(abs(place[one] - turn) for turn, one in enumerate(turns))
