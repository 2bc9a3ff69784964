"""What the contenders share: a runtime in this process or in one of its own, agents for it, and a look at its file."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from nightcrew.app.runtime import Runtime
from nightcrew.config.settings import load_settings
from nightcrew.crew.commits import After
from nightcrew.domain.agent import AgentState
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.ports.store import Transaction
from nightcrew.services.agents import add_agent
from nightcrew.system.clock import SystemClock
from nightcrew.system.ids import SystemIds
from nightcrew.system.logging import configure_logging
from nightcrew.system.tuning import tune_gc

AGENTS = Path(__file__).parent / "agents" / "bench.py"
READY = re.compile(r"nightcrew is ready grpc=(\S+)")
START_LIMIT = 60.0


def spec(name: str, trigger: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The spec of an agent that runs a function of `agents/bench.py`."""
    return {
        "program": {"python": {"entrypoint": f"bench:{name}"}},
        "triggers": [] if trigger is None else [{"id": "it", "schedule": trigger}],
    }


@asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[Runtime]:
    """A runtime on this loop, its gateway on a free port."""
    configure_logging(level="warning")
    settings = load_settings(data=folder, grpc="127.0.0.1:0", http="off")
    runtime = Runtime(settings, [AGENTS], clock=SystemClock(), ids=SystemIds())
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as life:
        life.create_task(runtime.run(ready.set))
        await ready.wait()
        tune_gc()  # as `nightcrew up` does
        try:
            yield runtime
        finally:
            runtime.stop()


async def register(
    runtime: Runtime, specs: Iterable[tuple[str, Mapping[str, Any]]], *, batch: int = 1000
) -> None:
    """Adds ACTIVE agents, so many in a transaction."""
    waiting = [Manifest(id=name, spec=AgentSpec.parse(one)) for name, one in specs]
    for start in range(0, len(waiting), batch):
        some = waiting[start : start + batch]
        now = SystemClock().now()

        def unit(tx: Transaction, after: After, some: list[Manifest] = some, now: datetime = now) -> None:
            for one in some:
                add_agent(tx, after, one, agent_id=one.id, now=now, state=AgentState.ACTIVE)

        await runtime.commits.run(unit)


@contextmanager
def in_its_own_process(folder: Path, *, http: str = "off") -> Iterator[tuple[str, psutil.Process, float]]:
    """`nightcrew up` as people start it: its address, its process, the seconds until it was ready."""
    command = [sys.executable, "-c", "from nightcrew.cli.entry import main; main()", "up", str(AGENTS)]
    command += ["--data", str(folder), "--grpc", "127.0.0.1:0", "--http", http, "--log-level", "warning"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = next((found[1] for line in process.stdout if (found := READY.match(line))), "")
            if not address:
                raise RuntimeError(f"the runtime ended with {process.wait()} before it was ready")
            yield address, psutil.Process(process.pid), time.perf_counter() - begun
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def rss_of(process: psutil.Process) -> float:
    """MiB of memory that a process and its children hold."""
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 2**20


def rows(folder: Path, sql: str) -> list[Any]:
    """What the file itself says once the clock has stopped."""
    connection = sqlite3.connect(f"file:{folder / 'nightcrew.db'}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def check_all_succeeded(folder: Path, count: int) -> None:
    """Nothing is measured that did not happen: every execution has its own result, on disk."""
    found = rows(folder, "SELECT state, count(*), count(DISTINCT input) FROM executions GROUP BY state")
    assert found == [("STATE_SUCCEEDED", count, count)], f"expected {count} successes, found {found}"


def report(**figures: Any) -> None:
    """The figures of one run, as the last line that the contender prints."""
    print(json.dumps(figures), flush=True)
