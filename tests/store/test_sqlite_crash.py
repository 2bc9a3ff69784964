"""kill -9 of a process that writes: whatever it was answered is in the file, whole, and the next one goes on."""

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

from nightcrew.domain.execution import ExecutionState
from nightcrew.store.sqlite import connection
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

RUNTIME = Path(connection.__file__).parents[3]
WRITER = """
import asyncio, os, sys
from datetime import UTC, datetime
from pathlib import Path
from nightcrew.domain.event import NewEvent
from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind, TriggerRef
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds

ids = SystemIds()

async def caller(store, number):
    agent = f"agent-{number}"
    while True:
        now = datetime.now(UTC)
        new = Execution(id=ids.uuid7(), agent_id=agent, agent_generation=1, state=ExecutionState.QUEUED,
                        trigger=TriggerRef(kind=TriggerKind.MANUAL), create_time=now)
        event = NewEvent(type="t", source="/s", time=now, execution_id=new.id)

        def insert(tx):
            tx.executions.insert(new)
            return tx.events.append(event)

        def claim(tx):
            (run,) = tx.executions.claim(agent, limit=1, people_only=False, now=now)
            tx.events.append(event)
            return run

        def finish(tx):
            assert tx.executions.finish(run.id, lease=run.lease, state=ExecutionState.SUCCEEDED, now=now, result="1")
            tx.events.append(event)

        sequence = await store.write(insert)
        os.write(1, f"queued {new.id} {sequence}\\n".encode())
        run = await store.write(claim)
        os.write(1, f"running {run.id} 0\\n".encode())
        await store.write(finish)
        os.write(1, f"done {run.id} 0\\n".encode())

async def main():
    store = SqliteStore(Path(sys.argv[1]), clock=SystemClock(), ids=ids)
    await store.open()
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(caller(store, f"{os.getpid()}-{number}"))

asyncio.run(main())
"""


def killed_after(folder, lines):
    """Starts a writer, kills it when it has said so many lines; all that it said."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        env=os.environ | {"PYTHONPATH": str(RUNTIME)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if len(said) == lines:
                process.kill()
                break
        said += process.stdout.read().splitlines(keepends=True)
        error = process.stderr.read()
    assert len(said) >= lines, error
    return [line.split() for line in said if line.endswith("\n")]


async def test_whatever_was_answered_is_there(tmp_path):
    dice = random.Random(3)
    at_least: dict[str, ExecutionState] = {}
    sequences = set()
    for _ in range(5):
        for what, execution_id, sequence in killed_after(tmp_path / "data", dice.randrange(1, 1500)):
            at_least[execution_id] = {
                "queued": ExecutionState.QUEUED,
                "running": ExecutionState.RUNNING,
                "done": ExecutionState.SUCCEEDED,
            }[what]
            if what == "queued":
                assert int(sequence) not in sequences
                sequences.add(int(sequence))

        order = [ExecutionState.QUEUED, ExecutionState.RUNNING, ExecutionState.SUCCEEDED]
        store = SqliteStore(tmp_path / "data", clock=ManualClock(), ids=SystemIds())
        await store.open()
        for execution_id, state in at_least.items():
            held = await store.reads.execution(execution_id)
            assert held is not None
            assert order.index(held.state) >= order.index(state)
        events = await store.reads.events_after(0, limit=100_000)
        assert sequences <= {one.sequence for one in events}
        await store.close()

        file = sqlite3.connect(tmp_path / "data" / "nightcrew.db")
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        # A move and its event are one unit: there is an event for each state that was reached, never more.
        reached = {"STATE_QUEUED": 1, "STATE_RUNNING": 2, "STATE_SUCCEEDED": 3}
        counts = file.execute(
            "SELECT state, (SELECT count(*) FROM events WHERE execution_id = executions.id) FROM executions"
        ).fetchall()
        file.close()
        assert all(count == reached[state] for state, count in counts)
        assert len(events) == sum(count for _, count in counts)
