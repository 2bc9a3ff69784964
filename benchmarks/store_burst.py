"""How many executions a second go through the store: 1,000 callers insert, claim and finish 20,000 in all.

Each execution is three units of work (insert + event, claim + event, finish + event). With --busy the event loop
burns Python all the while, which shows what the writer's thread gets of the interpreter. CPU is the process's own.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from nightcrew.domain.event import EXECUTION_EVENTS, NewEvent, agent_source
from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind, TriggerRef
from nightcrew.ports.store import Transaction
from nightcrew.store.sqlite import lane
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds

MANUAL = TriggerRef(kind=TriggerKind.MANUAL)


def event(tx: Transaction, agent_id: str, execution_id: str, state: ExecutionState) -> None:
    tx.events.append(
        NewEvent(
            type=EXECUTION_EVENTS[state],
            source=agent_source(agent_id),
            time=datetime.now(UTC),
            agent_id=agent_id,
            execution_id=execution_id,
            data='{"state":"' + state + '","reason":"","attempt":1}',
        )
    )


async def one(store: SqliteStore, agent_id: str, execution_id: str) -> None:
    now = datetime.now(UTC)
    new = Execution(
        id=execution_id,
        agent_id=agent_id,
        agent_generation=1,
        state=ExecutionState.QUEUED,
        trigger=MANUAL,
        create_time=now,
    )

    def insert(tx: Transaction) -> None:
        tx.executions.insert(new)
        event(tx, agent_id, execution_id, ExecutionState.QUEUED)

    def claim(tx: Transaction) -> Execution:
        (claimed,) = tx.executions.claim(agent_id, limit=1, people_only=False, now=now)
        event(tx, agent_id, execution_id, ExecutionState.RUNNING)
        return claimed

    def finish(tx: Transaction) -> bool:
        done = tx.executions.finish(
            claimed.id, lease=claimed.lease, state=ExecutionState.SUCCEEDED, now=now, result='{"ok":true}'
        )
        event(tx, agent_id, execution_id, ExecutionState.SUCCEEDED)
        return done

    await store.write(insert)
    claimed = await store.write(claim)
    assert await store.write(finish)


async def burn(share: float, turn: float = 0.01) -> None:
    """Keeps the loop busy for a share of the time, in turns of 10 ms (uvloop counts in whole milliseconds)."""
    while True:
        until = time.perf_counter() + turn * share
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(turn * (1 - share) if share < 1 else 0)


async def burst(options: argparse.Namespace) -> None:
    ids = SystemIds()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = SqliteStore(Path(folder), clock=SystemClock(), ids=ids, lend_seconds=options.lend)
        await store.open()
        work = iter([(f"agent-{n % options.agents}", ids.uuid7()) for n in range(options.executions)])

        async def caller() -> None:
            for agent_id, execution_id in work:
                await one(store, agent_id, execution_id)

        burner = asyncio.create_task(burn(options.busy)) if options.busy else None
        wall, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as callers:
            for _ in range(options.callers):
                callers.create_task(caller())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if burner:
            burner.cancel()
        n = options.executions
        print(
            f"{n} executions, {options.callers} callers, busy {options.busy:.0%}: {n / wall:,.0f} executions/s,"
            f" {3 * n / wall:,.0f} units/s, {cpu / n * 1e6:.0f} µs CPU each, {store.commits} commits"
            f" ({3 * n / store.commits:.0f} units a commit)"
        )
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=20_000)
    parser.add_argument("--callers", type=int, default=1_000)
    parser.add_argument("--agents", type=int, default=1_000)
    parser.add_argument(
        "--busy", type=float, default=0.0, help="share of the loop's time that is burnt, 0 to 1"
    )
    parser.add_argument(
        "--lend", type=float, default=lane.LEND_SECONDS, help="seconds the loop lends the writer; 0: never"
    )
    parser.add_argument("--switch", type=float, default=None, help="sys.setswitchinterval, in seconds")
    parser.add_argument("--asyncio", action="store_true", help="without uvloop")
    parser.add_argument(
        "--folder", default=None, help="where the file is made (default: the temporary folder)"
    )
    options = parser.parse_args()
    if options.switch is not None:
        sys.setswitchinterval(options.switch)
    (asyncio.run if options.asyncio else uvloop.run)(burst(options))


if __name__ == "__main__":
    main()
