"""Actors per second beside a bare deque-and-future loop: ask, tell, coalesced tell, and children that come and go.

Run it with `python benchmarks/actors.py [--uvloop] [--rounds N]`. Each figure is the median of the rounds; the
probe and the product take turns, so that a noisy machine is noisy for both.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections import deque
from typing import Any

import psutil
import uvloop

from nightcrew.actor.actor import Actor, ActorCell
from nightcrew.actor.child import ChildSpec
from nightcrew.actor.supervisor import Supervisor
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.system.clock import SystemClock

ASKS = 50_000
TELLS = 300_000
CHILDREN = 10_000


def _rss():
    return psutil.Process().memory_info().rss / 1024


class Bare:
    """The probe: what any mailbox in asyncio must at least do, and nothing more."""

    def __init__(self):
        self.queue: deque[Any] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.count = 0

    def put(self, item):
        self.queue.append(item)
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def loop(self):
        loop = asyncio.get_running_loop()
        while True:
            while not self.queue:
                self.waiter = loop.create_future()
                await self.waiter
                self.waiter = None
            message, future = self.queue.popleft()
            self.count += 1
            if future is not None:
                future.set_result(message)

    def ask(self, message):
        future = asyncio.get_running_loop().create_future()
        self.put((message, future))
        return future

    def tell(self, message):
        self.put((message, None))


class Echo(Actor[Any]):
    """Counts and answers with the message."""

    def __init__(self):
        self.count = 0

    async def receive(self, message):
        self.count += 1
        return message


async def ask_one_by_one(target):
    for number in range(ASKS):
        await target.ask(number)
    return ASKS


async def ask_hundred_at_once(target):
    async def one():
        for number in range(ASKS // 100):
            await target.ask(number)

    await asyncio.gather(*(one() for _ in range(100)))
    return ASKS


async def tell_all(target):
    for number in range(TELLS):
        target.tell(number)
    await target.ask("the last")
    return TELLS


async def measure(scenario, target):
    gc.collect()
    start = time.perf_counter()
    done = await scenario(target)
    return done / (time.perf_counter() - start)


async def with_bare(scenario):
    bare = Bare()
    task = asyncio.create_task(bare.loop())
    rate = await measure(scenario, bare)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return rate


async def with_actor(scenario, *, coalesce=None):
    clock = SystemClock()
    cell = ActorCell("echo", Echo, clock=clock, capacity=TELLS + 1, coalesce=coalesce)
    supervisor = Supervisor("root", [ChildSpec("echo", cell.run)], clock=clock)
    up = asyncio.Event()
    task = asyncio.create_task(supervisor.run(up.set))
    await up.wait()
    rate = await measure(scenario, cell.ref)
    supervisor.stop()
    await task
    return rate


async def bare_tasks():
    """The probe of children: as many tasks that wait, and their ends."""
    start = time.perf_counter()
    bares = [Bare() for _ in range(CHILDREN)]
    tasks = [asyncio.create_task(bare.loop()) for bare in bares]
    await asyncio.sleep(0)
    made = time.perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return CHILDREN / (made - start), CHILDREN / (time.perf_counter() - made)


async def dynamic_children():
    clock = SystemClock()
    crew = Supervisor("crew", clock=clock)
    up = asyncio.Event()
    task = asyncio.create_task(crew.run(up.set))
    await up.wait()
    gc.collect()
    before = _rss()
    start = time.perf_counter()
    for number in range(CHILDREN):
        cell = ActorCell(f"a{number}", Echo, clock=clock)
        cell.prepare()
        crew.spawn(ChildSpec(cell.ref.name, cell.run, restart=RestartMode.TEMPORARY))
    await cell.ref.ask("ready")
    made = time.perf_counter()
    grown = _rss() - before
    crew.stop()
    await task
    return CHILDREN / (made - start), CHILDREN / (time.perf_counter() - made), grown / CHILDREN


async def report(rounds):
    children, tasks = await dynamic_children(), await bare_tasks()  # first, while memory is not yet grown
    print(f"{'a second':34}{'bare':>12}{'actor':>12}{'ratio':>8}")
    for name, scenario in (
        ("ask, one in flight", ask_one_by_one),
        ("ask, 100 in flight", ask_hundred_at_once),
        ("tell", tell_all),
    ):
        figures = [(await with_bare(scenario), await with_actor(scenario)) for _ in range(rounds)]
        bare, actor = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:34}{bare:12,.0f}{actor:12,.0f}{actor / bare:8.2f}")
    flags = [await with_actor(tell_all, coalesce=lambda _: "flag") for _ in range(rounds)]
    print(f"{'tell, coalesced into a flag':34}{'':12}{statistics.median(flags):12,.0f}")
    for name, bare, actor in zip(("children made", "children stopped"), tasks, children, strict=False):
        print(f"{name:34}{bare:12,.0f}{actor:12,.0f}{actor / bare:8.2f}")
    print(f"{'KiB a child (growth of RSS)':34}{'':12}{children[2]:12.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvloop", action="store_true", help="run on uvloop, as the runtime does")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    factory = uvloop.new_event_loop if options.uvloop else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(report(options.rounds))


if __name__ == "__main__":
    main()
