"""Kills a runtime under load, again and again, and asks the checker whether anything was lost, doubled or invented."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.harness.blows import Blows
from tests.harness.history import Asked, History, Ticking, Watched
from tests.harness.history_file import read_effects, read_history
from tests.harness.history_rules import breaches
from tests.harness.load import Load
from tests.harness.process import RuntimeProcess
from tests.harness.waiting import eventually, holds
from tests.harness.watching import HandWatcher, SdkWatcher, Watcher

from nightcrew.client import Client

TICKING = ("tick", "tock", "thump")
EFFECTFUL = frozenset({"quick", "steady", "pooled", "own", "flaky", *TICKING})
MAX_ATTEMPTS = {"flaky": 4}
MARKER = "quick"
"""The agent that is paused last: its pause is what every watcher must have seen."""
STARTED = 'state = "STATE_RUNNING" OR state = "STATE_RETRYING"'
OPEN = 'state = "STATE_QUEUED" OR state = "STATE_RUNNING" OR state = "STATE_RETRYING"'


@dataclass
class Report:
    """Figures of a run."""

    dealt: Mapping[str, int] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    asked: int = 0
    answered: int = 0
    calls: int = 0
    executions: int = 0
    interruptions: int = 0
    events: int = 0
    fires: int = 0
    streams: int = 0
    seconds: float = 0.0

    def lines(self) -> Iterable[str]:
        """For people."""
        starts = sorted(self.starts) or [0.0]
        dealt = ", ".join(f"{blow} {count}" for blow, count in self.dealt.items())
        yield f"under load, in {self.seconds:.0f} s: {dealt}; the history is whole"
        yield f"starts after a blow: median {starts[len(starts) // 2]:.2f} s, worst {starts[-1]:.2f} s"
        yield f"asked {self.asked} times in {self.calls} calls, {self.answered} answered, {self.executions} executions"
        yield f"interruptions: {self.interruptions}, fires in the ledger: {self.fires}, events: {self.events}"
        yield f"streams that watchers opened: {self.streams}"


async def chaos(
    crew: RuntimeProcess, path: Path, *, blows: Sequence[str], seed: int, clients: int = 4
) -> Report:
    """Runs load and watchers while blows fall, then checks the history. `crew` serves already.

    Args:
        crew: The runtime.
        path: The file of its agents; what their runs leave is beside it.
        blows: What it has to take, in their order.
        seed: For the moments and the load.
        clients: How many clients ask for work.
    """
    dealing = Blows(crew, random.Random(seed))
    begin = time.monotonic()
    load = Load(crew.address, seed=seed, clients=clients)
    watchers: list[Watcher] = [
        SdkWatcher("the SDK's watcher of all", crew.address),
        SdkWatcher("the SDK's watcher of some", crew.address, [MARKER, "tick", "flaky"]),
        HandWatcher("a watcher by hand", crew.address),
        HandWatcher("a fickle watcher", crew.address, [MARKER, "pooled", "tock"], fickle=0.05),
    ]
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(one.run()) for one in watchers]
        await asyncio.gather(*(one.begun.wait() for one in watchers))
        loading = group.create_task(load.run())
        for number, blow in enumerate(blows):
            await dealing.deal(blow)
            if number == len(blows) // 2:
                await _pause_a_while(crew)
        load.stop()
        await loading
        ticking = await _come_to_rest(crew, watchers)
        for task in watching:
            task.cancel()
    assert await asyncio.to_thread(crew.stop) == 0
    assert not load.faults, "\n".join(load.faults[:10])
    watched = [one.watched(MARKER) for one in watchers]
    history = check_history(crew, path, ticking=ticking, asked=load.asked, watched=watched)
    report = Report(dealt=dealing.dealt, starts=dealing.starts, seconds=time.monotonic() - begin)
    report.calls, report.asked, report.answered = load.calls, len(load.asked), len(load.answered)
    report.executions, report.events, report.fires = map(
        len, (history.executions, history.events, history.fires)
    )
    report.interruptions = sum(one.interruptions for one in history.executions)
    report.streams = sum(one.streams for one in watchers)
    return report


async def _pause_a_while(crew: RuntimeProcess) -> None:
    """Times of inactivity are in the ledger, too."""
    async with Client(crew.address) as client:
        paused = await client.agents.pause("tick")
        since = paused.state_time
        assert since is not None
        await holds(lambda: (datetime.now(UTC) - since).total_seconds() > 1.2)
        await client.agents.resume("tick")


async def _come_to_rest(crew: RuntimeProcess, watchers: Sequence[Watcher]) -> list[Ticking]:
    async with Client(crew.address) as client:
        await nothing_is_open(client, filter=f"({OPEN}) AND ({_none_of(TICKING)})", within=180)
        ticking = await ticking_of(client, TICKING)
        end = await client.agents.pause(MARKER)
        assert end.state == "STATE_PAUSED"
    for one in watchers:
        await holds(partial(one.mark, MARKER), within=15, what=f"{one.name} to catch up")
    return ticking


async def ticking_of(client: Client, names: Sequence[str]) -> list[Ticking]:
    """Pauses the agents for good, and says for which window of each every second must be in the ledger.

    They are paused, resumed and paused again: the look that follows the resumption writes down whatever was
    not fired before it, so that the window up to there has no loose end.
    """
    for name in names:
        await pause_idle(client, name)
    found = []
    for name in names:
        resumed = await client.agents.resume(name)
        assert resumed.state_time is not None
        assert resumed.create_time is not None
        await _fires_after(client, name, resumed.state_time)
        await pause_idle(client, name)
        trigger = resumed.spec["triggers"][0]["id"]
        found.append(
            Ticking(
                agent_id=name,
                trigger_id=trigger,
                every=1,
                start=resumed.create_time,
                end=resumed.state_time,
            )
        )
    await nothing_is_open(client)
    return found


async def pause_idle(client: Client, name: str) -> None:
    """Pauses an agent at a moment at which it has no work: a pause holds what has not started."""
    for _ in range(20):
        await client.agents.pause(name)
        await nothing_is_open(client, filter=f'agent_id = "{name}" AND ({STARTED})')
        if not (
            await client.executions.list(filter=f'agent_id = "{name}" AND ({OPEN})').page(page_size=1)
        ).items:
            return
        await client.agents.resume(name)
        await nothing_is_open(client, filter=f'agent_id = "{name}" AND ({OPEN})')
    raise AssertionError(f"{name} always has work")


async def _fires_after(client: Client, name: str, time: datetime) -> None:
    await eventually(
        lambda: client.schedules.fires(filter=f'agent_id = "{name}"').page(page_size=1),
        lambda page: (page.items[0].nominal_time or time) > time,
        what=f"{name} to fire once more",
    )


async def nothing_is_open(client: Client, *, filter: str = OPEN, within: float = 60) -> None:  # noqa: A002 - the contract's word
    """Waits until every execution has ended."""
    await eventually(
        lambda: client.executions.list(filter=filter).page(page_size=5),
        lambda page: not page.items,
        within=within,
        what="the end of all executions",
    )


def _none_of(names: Sequence[str]) -> str:
    return " AND ".join(f'agent_id != "{name}"' for name in names)


def check_history(
    crew: RuntimeProcess,
    path: Path,
    *,
    ticking: Sequence[Ticking] = (),
    asked: Sequence[Asked] = (),
    watched: Sequence[Watched] = (),
) -> History:
    """Reads the history of a stopped runtime of `agents/crew.py`, and fails with every breach of a rule."""
    history = replace(
        read_history(crew.data),
        effects=read_effects(path.parent / "effects"),
        asked=asked,
        ticking=ticking,
        watched=watched,
        effectful=EFFECTFUL,
        max_attempts=MAX_ATTEMPTS,
    )
    found = breaches(history)
    assert not found, f"{len(found)} breaches:\n" + "\n".join(found[:40])
    return history


def show(lines: Iterable[str]) -> None:
    """Prints a report."""
    with suppress(BrokenPipeError):
        print("\n" + "\n".join(f"  {line}" for line in lines))
