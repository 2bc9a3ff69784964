"""The floor: a hand-written probe of the limit. What has to be durable is written, and nothing else is done.

Each execution is a row that becomes queued, running and succeeded, with a row of history for each; every change
is awaited after its commit. One thread owns the file and commits what has gathered; one coroutine an agent runs
its executions one at a time. No limits, no leases, no retries, no logs, no types, no errors: not a product.
"""

import asyncio
import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
from benchmarks.crew import cpu_of, report, rss_of

from nightcrew.system.ids import SystemIds

AGENTS = 1000
FLIGHT = 256

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE work (id TEXT PRIMARY KEY, agent TEXT, state TEXT, input TEXT, result TEXT, at REAL) WITHOUT ROWID;
CREATE INDEX open_work ON work (agent) WHERE state != 'succeeded';
CREATE TABLE history (n INTEGER PRIMARY KEY, work TEXT, state TEXT, at REAL);
"""
NEW = "INSERT INTO work (id, agent, input, state, at) VALUES (?, ?, ?, 'queued', ?)"
BEGUN = "UPDATE work SET state = 'running', at = ? WHERE id = ? AND state = 'queued'"
DONE = "UPDATE work SET state = 'succeeded', result = ?, at = ? WHERE id = ? AND state = 'running'"
NOTE = "INSERT INTO history (work, state, at) VALUES (?, ?, ?)"

Change = tuple[str, Sequence[Any], Sequence[Any], "asyncio.Future[None]"]


class Keeper:
    """Group commit in the smallest form: what came while the last batch was written is the next."""

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Change] = []
        self._busy = False
        self._batches: SimpleQueue[list[Change]] = SimpleQueue()
        self.commits = 0
        threading.Thread(target=self._serve, args=(path,), daemon=True).start()

    def write(self, sql: str, values: Sequence[Any], note: Sequence[Any]) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = self._loop.create_future()
        self._gathered.append((sql, values, note, done))
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._hand_over)
        return done

    def _hand_over(self) -> None:
        batch, self._gathered = self._gathered, []
        self._batches.put(batch)

    def _answer(self, batch: list[Change]) -> None:
        for *_, done in batch:
            done.set_result(None)
        self._busy = bool(self._gathered)
        if self._busy:
            self._loop.call_soon(self._hand_over)

    def _serve(self, path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(SCHEMA)
        while True:
            batch = self._batches.get()
            connection.execute("BEGIN IMMEDIATE")
            for sql in (NEW, BEGUN, DONE):
                connection.executemany(sql, [values for one, values, _, _ in batch if one is sql])
            connection.executemany(NOTE, [note for _, _, note, _ in batch])
            connection.execute("COMMIT")
            self.commits += 1
            self._loop.call_soon_threadsafe(self._answer, batch)


class Agent:
    """Runs what it is given one at a time, with a task only while there is work."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._waiting: deque[tuple[str, str, asyncio.Future[None]]] = deque()
        self._working = False
        self._task: asyncio.Task[None] | None = None

    def tell(self, work: str, text: str) -> "asyncio.Future[None]":
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, text, ended))
        if not self._working:
            self._working = True
            self._task = asyncio.get_running_loop().create_task(self._run())
        return ended

    async def _run(self) -> None:
        while self._waiting:
            work, text, ended = self._waiting.popleft()
            now = time.time()
            await self._keeper.write(BEGUN, (now, work), (work, "running", now))
            result = json.dumps(await noop(json.loads(text)))
            now = time.time()
            await self._keeper.write(DONE, (result, now, work), (work, "succeeded", now))
            ended.set_result(None)
        self._working = False


async def noop(data: dict[str, Any]) -> dict[str, Any]:
    return {"ok": True, "i": data["i"]}


async def run(folder: Path, *, n: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    keeper, ids = Keeper(folder / "floor.db"), SystemIds()
    agents = [Agent(keeper) for _ in range(AGENTS)]
    work, ends = iter(range(n)), []

    async def caller() -> None:
        for i in work:
            name, text, now = ids.uuid7(), json.dumps({"i": i}), time.time()
            await keeper.write(NEW, (name, f"a{i % AGENTS}", text, now), (name, "queued", now))
            ends.append(agents[i % AGENTS].tell(name, text))

    me = psutil.Process()
    cpu, begun = cpu_of(me), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(FLIGHT)))
    submitted = time.perf_counter() - begun
    await asyncio.gather(*ends)
    took = time.perf_counter() - begun
    found = sqlite3.connect(folder / "floor.db").execute(
        "SELECT count(*) FROM work WHERE state = 'succeeded'"
    )
    assert found.fetchone() == (n,)
    report(
        per_second=n / took,
        submitted_per_second=n / submitted,
        cpu_us=1e6 * (cpu_of(me) - cpu) / n,
        units=3 * n / keeper.commits,
        rss_mib=rss_of(me),
    )
