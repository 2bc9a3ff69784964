"""Blows under mixed load for as long as is asked, and one history to check: the soak that is run for an hour."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil
from tests.harness.blows import Blows
from tests.harness.chaos import EFFECTFUL, MARKER, MAX_ATTEMPTS, TICKING, ticking_of
from tests.harness.durable_rules import DURABLE
from tests.harness.history import History
from tests.harness.history_file import read_effects, read_entered, read_history
from tests.harness.history_rules import breaches
from tests.harness.load import Load
from tests.harness.mixed_load import MixedLoad
from tests.harness.process import RuntimeProcess
from tests.harness.waiting import eventually, holds
from tests.harness.watching import HandWatcher, SdkWatcher, Watcher

from nightcrew.client import Client

MEMORY = 400 * 1024**2
"""Bytes that the runtime may hold at rest."""
FILES = 200
"""File descriptors that it may hold at rest: a few connections, threads and workers need no more."""
OPEN = " OR ".join(f'state = "STATE_{one}"' for one in ("QUEUED", "RUNNING", "RETRYING", "WAITING"))


@dataclass
class MixedReport:
    """Figures of a run."""

    seconds: float = 0.0
    dealt: dict[str, int] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    history: History = field(default_factory=History)
    streams: int = 0

    def lines(self) -> Iterable[str]:
        """For people."""
        starts, took = sorted(self.starts) or [0.0], sorted(self.took) or [0.0]
        rows = self.history
        yield f"mixed load for {self.seconds:.0f} s; the history is whole"
        yield "blows: " + ", ".join(f"{blow} {count}" for blow, count in sorted(self.dealt.items()))
        yield f"starts after a blow: median {starts[len(starts) // 2]:.2f} s, worst {starts[-1]:.2f} s"
        yield "calls: " + ", ".join(f"{call} {count}" for call, count in sorted(self.calls.items()))
        yield f"calls took, outages included: median {took[len(took) // 2] * 1000:.0f} ms, p99 {took[len(took) * 99 // 100]:.2f} s"
        yield f"executions {len(rows.executions)}, events {len(rows.events)}, fires {len(rows.fires)}, steps {len(rows.steps)} of {len(rows.entered)} entered"
        yield f"interruptions {sum(one.interruptions for one in rows.executions)}, streams of watchers {self.streams}"
        if self.memory:
            yield f"memory {min(self.memory) >> 20} to {max(self.memory) >> 20} MiB, open files {min(self.files)} to {max(self.files)}"


async def mixed(
    crew: RuntimeProcess,
    folder: Path,
    *,
    seconds: float,
    blows: Iterable[str],
    seed: int,
    pause: float = 0.02,
) -> MixedReport:
    """Runs mixed load and watchers while blows fall, then checks the history. `crew` serves already.

    Args:
        crew: The runtime of `agents/crew.py` and `agents/mixed.py`.
        folder: Where these are, and what their runs leave.
        seconds: How long there is load.
        blows: What it has to take; it ends with them, or with the time.
        seed: For the moments and the load.
        pause: Seconds that callers rest between calls.
    """
    report, begin = MixedReport(), time.monotonic()
    dealing = Blows(crew, random.Random(seed))
    load = Load(crew.address, seed=seed, clients=3, pause=pause, timeout=90)
    more = MixedLoad(crew.address, crew.web, seed=seed, pause=pause)
    watchers: list[Watcher] = [
        SdkWatcher("the SDK's watcher of all", crew.address),
        HandWatcher("a watcher by hand", crew.address),
        HandWatcher("a fickle watcher", crew.address, [MARKER, "stepper", "tock"], fickle=0.05),
    ]
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(one.run()) for one in watchers]
        await asyncio.gather(*(one.begun.wait() for one in watchers))
        loading = [group.create_task(load.run()), group.create_task(more.run())]
        for blow in blows:
            if time.monotonic() > begin + seconds:
                break
            _look(crew, report)
            await dealing.deal(blow)
        load.stop()
        more.stop()
        await asyncio.gather(*loading)
        faults = [*load.faults, *more.faults]
        assert not faults, f"{len(faults)} answers that should not be:\n" + "\n".join(faults[:20])
        ticking = await _come_to_rest(crew, watchers)
        await asyncio.to_thread(_at_rest, crew, report)
        for task in watching:
            task.cancel()
    report.seconds = time.monotonic() - begin
    assert await asyncio.to_thread(crew.stop) == 0
    history = replace(
        read_history(crew.data),
        effects=read_effects(folder / "effects"),
        entered=read_entered(folder / "entered"),
        asked=load.asked,
        ticking=ticking,
        watched=[one.watched(MARKER) for one in watchers],
        effectful=EFFECTFUL,
        max_attempts={**MAX_ATTEMPTS, "grumpy": 3},
        signalled=more.signalled,
        published=more.published,
        delivered=more.delivered,
        retried=more.retried,
        commanded=more.commanded,
    )
    report.history = history
    found = breaches(history, DURABLE)
    report.dealt, report.starts = dealing.dealt, dealing.starts
    report.calls = {**more.calls, "load": load.calls, "load, answered": len(load.answered)}
    report.took, report.streams = more.seconds, sum(one.streams for one in watchers)
    assert not found, f"{len(found)} breaches:\n" + "\n".join(found[:60])
    return report


async def _come_to_rest(crew: RuntimeProcess, watchers: list[Watcher]) -> list:
    idle = " AND ".join(f'agent_id != "{one}"' for one in TICKING)
    async with Client(crew.address, timeout=90) as client:
        await eventually(
            lambda: client.executions.list(filter=f"({OPEN}) AND ({idle})").page(page_size=5),
            lambda page: not page.items,
            within=120,
            what="the end of all executions",
        )
        ticking = await ticking_of(client, TICKING)
        await client.agents.pause(MARKER)
    for one in watchers:
        await holds(partial(one.mark, MARKER), within=30, what=f"{one.name} to catch up")
    return ticking


def _look(crew: RuntimeProcess, report: MixedReport) -> None:
    process = psutil.Process(crew.pid)
    report.memory.append(process.memory_info().rss)
    report.files.append(process.num_fds())


def _at_rest(crew: RuntimeProcess, report: MixedReport) -> None:
    _look(crew, report)
    assert report.memory[-1] < MEMORY, f"the runtime holds {report.memory[-1] >> 20} MiB at rest"
    assert report.files[-1] < FILES, f"the runtime holds {report.files[-1]} files open at rest"
