"""`nightcrew check`: new code against what waits, beside a runtime and without one; nothing is changed or run."""

import asyncio
import json
import subprocess

import pytest
from tests.harness.process import NIGHTCREW
from tests.harness.waiting import eventually

from nightcrew.client import Client

OLD = """
import asyncio
from nightcrew.agent import agent, Context, SyncContext

def note(folder, line):
    with open(f"{folder}/entered", "a") as file:
        file.write(line + "\\n")
    return line

@agent(max_concurrency=0)
async def steady(ctx: Context, folder: str):
    await asyncio.gather(ctx.step("a", note, folder, "a"), ctx.step("b", note, folder, "b"))
    await ctx.wait_signal("go")
    await ctx.step("after", note, folder, "after")

@agent
async def renamed(ctx: Context, folder: str):
    await ctx.step("fetch", note, folder, "fetch")
    await ctx.wait_signal("go")

@agent
def blocking(ctx: SyncContext, folder: str):
    ctx.step("one", note, folder, "one")
    ctx.sleep(hours=1)
    ctx.step("two", note, folder, "two")

@agent
async def remembers(ctx: Context, folder: str):
    print("noise")
    if "name" not in ctx.state:
        ctx.state["name"] = "kept"
        await ctx.save_state()
        await ctx.step("first time", note, folder, "first")
        ctx.continue_as_new({"folder": folder})
    await ctx.step(ctx.state["name"], note, folder, "second")
    await ctx.sleep(hours=2)

@agent
async def raises(ctx: Context, folder: str):
    await ctx.step("fetch", note, folder, "fetch")
    await ctx.sleep(hours=1)
"""
NEW = OLD.replace(
    'ctx.step("fetch", note, folder, "fetch")\n    await ctx.wait',
    'ctx.step("load", note, folder, "fetch")\n    await ctx.wait',
)
NEW = NEW.replace("    await ctx.sleep(hours=1)\n", '    raise KeyError("new")\n')


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "agents" / "waiting_agents.py"
    file.parent.mkdir()
    file.write_text(OLD)
    return file


async def check(crew, path, *flags):
    command = [*NIGHTCREW, "check", str(path), "--data", str(crew.data), *flags]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)


async def found(crew, path):
    said = await check(crew, path, "--output", "json")
    return said.returncode, {one["agent_id"]: one for one in json.loads(said.stdout)}


async def test_what_fits_and_what_would_park(up, path, tmp_path):
    new = tmp_path / "new" / "waiting_agents.py"
    new.parent.mkdir()
    new.write_text(NEW)
    crew = up(path).start()
    async with Client(crew.address) as client:
        made = [
            await client.agents.trigger(name, {"folder": str(tmp_path)})
            for name in ("steady", "renamed", "blocking", "raises", "remembers")
        ]

        async def all_wait():
            waiting, _ = await client.executions.list(filter='state = "STATE_WAITING"').take(0)
            return len(waiting) == len(made)

        await eventually(all_wait, within=30, what="waits")
        entered = (tmp_path / "entered").read_text()
        code, same = await found(crew, path)
        assert (code, {one["fit"] for one in same.values()}) == (0, {"fits"})
        for _ in range(2):
            code, told = await found(crew, new)
            assert code == 1
            assert {name: one["fit"] for name, one in told.items()} == {
                "steady": "fits",
                "blocking": "fits",
                "remembers": "fits",
                "renamed": "parks",
                "raises": "fails",
            }
            assert "'load'" in told["renamed"]["message"]
            assert "'fetch'" in told["renamed"]["message"]
            assert "KeyError" in told["raises"]["message"]
            if crew.alive:
                table = await check(crew, new)
                assert (table.returncode, "renamed" in table.stdout, "steady" in table.stdout) == (
                    1,
                    True,
                    False,
                )
                crew.kill()  # and once more without a runtime
        assert (tmp_path / "entered").read_text() == entered, "no step was run"
    other = tmp_path / "other.py"
    other.write_text("x = 1\n")
    code, told = await found(crew, other)
    assert (code, {one["fit"] for one in told.values()}) == (1, {"missing"})
    assert (await check(crew, tmp_path / "nowhere.py")).returncode == 2
    crew.start()
    async with Client(crew.address) as client:
        assert await all_wait()
    assert crew.stop() == 0
