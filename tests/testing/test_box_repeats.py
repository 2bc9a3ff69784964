"""The same box has the same history in every run: ids, back-offs, ledger, executions, logs and events, row for row."""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nightcrew.agent import Retry, agent, cron, every
from nightcrew.testing.box import Box


def crew():
    """Agents that fail and retry, overlap, keep state, speak, and share their moments."""
    retry = Retry(max_attempts=4, initial_backoff=7, max_backoff=900)

    @agent(triggers=[every(minutes=5)], retry=retry)
    async def flaky(ctx):
        ctx.log.info("an attempt", attempt=ctx.attempt)
        if hash_of(ctx) % 3:
            raise OSError(f"attempt {ctx.attempt}")

    @agent(triggers=[cron("*/10 * * * *", jitter=120), every(minutes=10)], overlap="buffer_all")
    async def slow(ctx):
        await box_of[0].clock.sleep(hash_of(ctx) % 900)
        ctx.state["sum"] = ctx.state.get("sum", 0) + 1
        return ctx.state["sum"]

    @agent(triggers=[every(minutes=10)], max_concurrency=0)
    def sync(ctx):
        print("sync", ctx.attempt)
        return hash_of(ctx)

    box_of = []
    return (flaky, slow, sync), box_of


def hash_of(ctx):
    return int(hashlib.sha256(f"{ctx.execution_id}{ctx.attempt}".encode()).hexdigest(), 16)


async def live(folder, seed):
    """Half a day with triggers by hand, pauses, a restart and a clock that is set."""
    agents, box_of = crew()
    dice = random.Random(5)
    async with Box(*agents, folder=folder, seed=seed) as box:
        box_of.append(box)
        for _ in range(30):
            name = dice.choice(["flaky", "slow", "sync"])
            match dice.choice(["trigger", "pause", "resume", "wait"]):
                case "trigger" if (await box.agent(name)).state.value != "STATE_ERROR":
                    await box.trigger(name)
                case "pause" | "resume" as verb if name != "sync":
                    await box.command(verb, name)
            await box.advance(minutes=dice.randint(1, 40))
        await box.restart(minutes=50)
        box.clock.shift_wall(-1800)
        await box.advance(hours=1)


def history(folder):
    with closing(sqlite3.connect(folder / "nightcrew.db")) as file:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: file.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608 - our own names


async def test_two_runs_have_one_history_and_another_seed_another(tmp_path):
    for name, seed in (("first", 1), ("second", 1), ("third", 2)):
        await live(tmp_path / name, seed)
    first, second, third = (history(tmp_path / name) for name in ("first", "second", "third"))
    assert len(first["executions"]) > 150
    assert sum("nightcrew.execution.retrying" in row for row in first["events"]) > 50
    assert {"fires", "events", "logs", "agent_memory", "meta"} <= first.keys()
    for table in first:
        assert first[table] == second[table], table
    assert first["executions"] != third["executions"]


@pytest.mark.e2e
def test_another_process_has_it_too(tmp_path):
    script = (
        f"import asyncio, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nimport test_box_repeats as it\n"
        "asyncio.run(it.live(Path(sys.argv[1]), 1))"
    )
    for name in ("1", "2"):  # strings hash differently in each
        environment = {**os.environ, "PYTHONHASHSEED": name}
        subprocess.run(
            [sys.executable, "-c", script, tmp_path / name], env=environment, check=True, timeout=120
        )
    assert history(tmp_path / "1") == history(tmp_path / "2")
