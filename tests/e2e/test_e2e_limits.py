"""Shared limits over real processes: a pool over three agents that is killed twice, and a crowd of one customer."""

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from tests.harness.waiting import eventually

from nightcrew.client import Client, TriggerRequest

AGENTS = """
import asyncio, os, time
from nightcrew.agent import agent, Context, Limits, SyncContext

def note(folder, what, ctx):
    with open(os.path.join(folder, "runs"), "a") as file:
        file.write(f"{os.getppid() if what.isupper() else os.getpid()} {what.lower()} {ctx.execution_id} {time.time()}\\n")

async def use(ctx, folder):
    note(folder, "begin", ctx)
    await asyncio.sleep(0.7)
    note(folder, "end", ctx)

@agent(max_concurrency=0, max_backlog=0, pools=["openai"])
async def one(ctx: Context, folder: str):
    await use(ctx, folder)

@agent(max_concurrency=0, max_backlog=0, pools=["openai"])
async def two(ctx: Context, folder: str):
    await use(ctx, folder)

@agent(max_concurrency=0, max_backlog=0, pools=["openai"])
def worker(ctx: SyncContext, folder: str):
    note(folder, "BEGIN", ctx)
    time.sleep(0.7)
    note(folder, "END", ctx)

@agent
async def free():
    return "free"

@agent(max_concurrency=4, max_backlog=0, concurrency_key="input.customer", max_concurrency_per_key=4)
async def served(customer: str):
    await asyncio.sleep(0.01)

@agent(max_concurrency=0, limits=Limits(spend_per_month={"usd": 1000}))
async def spender(ctx: Context, reports: int):
    for number in range(reports):
        await ctx.spend("usd", 0.25)
        await ctx.sleep(0.02)

@agent(limits=Limits(spend_per_month={"usd": 1}))
def saver(ctx: SyncContext):
    for number in range(10):
        ctx.spend("usd", 0.3)
"""
POOLS = {"openai": {"rate": "600/minute", "concurrency": 8}}
EACH = 30


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "limited_agents.py"
    file.write_text(AGENTS)
    return file


async def test_a_pool_over_three_agents_is_never_exceeded_though_the_runtime_is_killed_twice(
    up, path, tmp_path
):
    crew = up(path, env={"NIGHTCREW_POOLS": json.dumps(POOLS)}).start()
    async with Client(crew.address) as client:
        executions = [
            await client.agents.trigger(name, {"folder": str(tmp_path)})
            for _ in range(EACH)
            for name in ("one", "two", "worker")
        ]
        for enough in (20, 50):

            async def lines():
                return _lines(tmp_path)

            await eventually(lines, enough.__le__, within=30, what=f"{enough} lines")
            # Who takes from no pool is held up by nobody.
            done = await client.agents.trigger("free", wait=timedelta(seconds=10))
            assert done.state == "STATE_SUCCEEDED"
            crew.kill()
            crew.start()
        for execution in executions:

            async def ended(execution_id=execution.id):
                return (await client.executions.get(execution_id)).state == "STATE_SUCCEEDED"

            await eventually(ended, what="the end of all", within=120)
        events = [one async for one in client.events.list(filter='type = "nightcrew.execution.started"')]
    starts = sorted(one.time for one in events if one.agent_id != "free" and one.time is not None)
    assert len(starts) >= 3 * EACH
    assert min(later - earlier for earlier, later in pairwise(starts)) >= timedelta(milliseconds=100)
    assert _most_at_once(tmp_path) == POOLS["openai"]["concurrency"]


def _lines(folder):
    runs = folder / "runs"
    return len(runs.read_text().splitlines()) if runs.exists() else 0


def _most_at_once(folder):
    """From what the programs noted: a run that was killed ended with its runtime, at the last that it noted."""
    open_runs, moments, last = {}, [], {}
    for line in sorted((folder / "runs").read_text().splitlines(), key=lambda line: float(line.split()[3])):
        life, what, execution, time = line.split()
        last[life] = float(time)
        if what == "begin":
            open_runs[life, execution] = float(time)
        else:
            moments += [(open_runs.pop((life, execution)), 1), (float(time), -1)]
    for (life, _), begun in open_runs.items():
        moments += [(begun, 1), (max(last[life], begun), -1)]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


async def test_ten_thousand_of_one_customer_do_not_delay_anothers(up, path):
    crew = up(path).start()
    async with Client(crew.address) as client:
        for _ in range(10):
            await client.agents.trigger_many(
                [TriggerRequest(agent_id="served", input={"customer": "large"}) for _ in range(1000)]
            )
        small = await client.agents.trigger("served", {"customer": "small"}, wait=timedelta(seconds=20))
        assert small.state == "STATE_SUCCEEDED"
        status = (await client.agents.get("served")).status
        assert status.queued_count > 1000


async def test_what_is_reported_is_counted_once_though_the_runtime_is_killed_twice(up, path):
    crew = up(path, env={"NIGHTCREW_POOLS": json.dumps(POOLS)}).start()
    reports, many = 60, 4
    async with Client(crew.address) as client:
        made = [await client.agents.trigger("spender", {"reports": reports}) for _ in range(many)]
        for enough in (10, 30):

            async def spent():
                return (await client.agents.get("spender")).status.limits[0].used

            await eventually(spent, (enough * 0.25).__le__, within=30, what=f"{enough} reports")
            crew.kill()
            crew.start()
        for execution in made:

            async def ended(execution_id=execution.id):
                return (await client.executions.get(execution_id)).state == "STATE_SUCCEEDED"

            await eventually(ended, what="the end of all", within=60)
        usd = (await client.agents.get("spender")).status.limits[0]
        assert (usd.name, usd.per, usd.used) == ("usd", "PER_MONTH", many * reports * 0.25)


async def test_a_worker_past_its_budget_is_ended_and_its_agent_paused(up, path):
    crew = up(path, env={"NIGHTCREW_POOLS": json.dumps(POOLS)}).start()
    async with Client(crew.address) as client:
        over = await client.agents.trigger("saver", wait=timedelta(seconds=20))
        assert over.state == "STATE_FAILED"
        assert over.error is not None
        assert over.error.type == "BudgetExceeded"
        found = await client.agents.get("saver")
        assert found.state == "STATE_PAUSED"
        assert found.state_reason.startswith("limit_reached: usd 1.2 of 1 in this month, until ")
    shown = crew.cli("agents", "get", "saver")
    assert "usd  1.5 of 1  month, until" in shown.stdout
    refused = crew.cli("agents", "resume", "saver")
    assert refused.returncode == 1
    assert "raise the limit" in refused.stderr
