"""The peer of the steps' table, run by an interpreter that has DBOS: workflows of N steps, each a small dict.

    .venv-peers/bin/python benchmarks/dbos_steps.py sqlite:///FILE 1 500

On SQLite with WAL and synchronous=FULL on every connection (its own default is a rollback journal), on PostgreSQL as
the server is set: fsync and synchronous_commit are on unless somebody turned them off, and the figures say so. Async
workflows and steps, as Nightcrew's are: they are the faster of the two.
"""

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import psutil
import sqlalchemy as sa
from dbos import DBOS, DBOSConfig

DATABASE = "nightcrew_bench"
_DROP = f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"
_SAFE = "SELECT current_setting('fsync'), current_setting('synchronous_commit')"


def synced(engine: sa.Engine) -> None:
    """WAL, and a commit that waits for the disk, on every connection that the engine opens."""

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)
        cursor.close()


def config(url: str) -> DBOSConfig:
    made: DBOSConfig = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
    if url.startswith("sqlite"):
        engine = sa.create_engine(url, connect_args={"timeout": 30})
        synced(engine)
        made["system_database_engine"] = engine
    else:
        made["system_database_url"] = fresh(url)
    return made


def fresh(url: str) -> str:
    """The URL of a database of our own on a server, made anew.

    Raises:
        SystemExit: The server does not wait for its disk: that would be another race.
    """
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        if tuple(connection.execute(sa.text(_SAFE)).one()) != ("on", "on"):
            raise SystemExit("PostgreSQL has fsync or synchronous_commit off")
        connection.execute(sa.text(_DROP))
        connection.execute(sa.text(f"CREATE DATABASE {DATABASE}"))
    server.dispose()
    return str(sa.make_url(url).set(database=DATABASE).render_as_string(hide_password=False))


def drop(url: str) -> None:
    """The server is as it was."""
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(_DROP))


@DBOS.step()
async def fetch(number: int) -> dict[str, Any]:
    return {"ok": True, "number": number}


@DBOS.workflow()
async def work(steps: int) -> dict[str, int]:
    total = 0
    for number in range(steps):
        total += (await fetch(number))["number"]
    return {"total": total}


async def measure(workflows: int, steps: int) -> dict[str, float]:
    me = psutil.Process()
    want = sum(range(steps))
    assert (await work(3))["total"] == 3
    before, begun = sum(me.cpu_times()[:2]), time.perf_counter()
    handles = [await DBOS.start_workflow_async(work, steps) for _ in range(workflows)]
    for handle in handles:
        assert (await handle.get_result())["total"] == want
    took = time.perf_counter() - begun
    count = workflows * steps
    return {"per_second": count / took, "cpu_us": 1e6 * (sum(me.cpu_times()[:2]) - before) / count}


async def main(url: str, workflows: int, steps: int) -> None:
    DBOS(config=config(url))
    DBOS.launch()
    figures = await measure(workflows, steps)
    print(json.dumps(figures), flush=True)
    with contextlib.suppress(Exception):
        DBOS.destroy(workflow_completion_timeout_sec=0)
    if not url.startswith("sqlite"):
        drop(url)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
