"""Steps: what a journaled one costs, one after another, in many executions at once, and abreast; and DBOS's."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
from benchmarks.burst_in_process import ended
from benchmarks.crew import cpu_of, in_process, register, report, rows, rss_of, spec

from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers"
"""An environment of the peers' own: what they need must not meet what we need."""
POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
DBOS = "dbos>=3.4,<4"


async def run(folder: Path, *, n: int, executions: int, agent: str = "stepwise") -> None:
    """So many steps in all, in so many executions at once."""
    me = psutil.Process()
    each = n // executions
    async with in_process(folder) as runtime:
        await register(runtime, [("a", {**spec(agent), "execution": {"max_concurrency": 0}})])
        await trigger(runtime, 1, 3)  # code is warm
        commits, cpu, begun = runtime.store.commits, cpu_of(me), time.perf_counter()
        await trigger(runtime, executions, each)
        took = time.perf_counter() - begun
        figures = {
            "per_second": n / took,
            "cpu_us": 1e6 * (cpu_of(me) - cpu) / n,
            "commits": (runtime.store.commits - commits) / n,
            "rss_mib": rss_of(me),
        }
    want = [(executions, sum(range(each)))]
    found = rows(
        folder,
        "SELECT count(*), max(result ->> 'total') FROM executions"  # noqa: S608 - a number of our own
        f" WHERE state = 'STATE_SUCCEEDED' AND input ->> 'steps' = {each}",
    )
    assert found == want, f"expected {want}, found {found}"
    report(**figures)


async def trigger(runtime: Any, executions: int, steps: int) -> None:
    """Runs so many executions to their ends."""
    wishes = [
        Triggering(agent_id="a", request=Request(method="bench"), input={"steps": steps})
        for _ in range(executions)
    ]
    for one in await runtime.services.executions.trigger_many(wishes):
        if isinstance(one, Exception):
            raise one
    await ended(runtime)


def peer(folder: Path, *, n: int, workflows: int, postgres: bool = False) -> None:
    """The same work by DBOS, in its own environment; made when it is first asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([ROOT / ".ci" / "venv", PEERS], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([python, "-m", "pip", "install", "--quiet", DBOS, "psutil"], check=True)
    url = (
        os.environ.get("NIGHTCREW_BENCH_POSTGRES", POSTGRES)
        if postgres
        else f"sqlite:///{folder / 'dbos.db'}"
    )
    command = [
        str(python),
        str(ROOT / "benchmarks" / "dbos_steps.py"),
        url,
        str(workflows),
        str(n // workflows),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    report(**json.loads(done.stdout.strip().rpartition("\n")[2]))
