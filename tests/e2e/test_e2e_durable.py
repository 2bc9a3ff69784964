"""Durable work over real processes: kill -9 in the middle of it, a person who answers, and a crowd that waits."""

import asyncio
import json
import random

import pytest
from tests.harness.waiting import eventually

from nightcrew.client import Client

AGENTS = '''
import asyncio, os, time
from nightcrew.agent import agent, Context, SyncContext

def note(folder, name):
    """One line for each time that a step's function is entered."""
    with open(os.path.join(folder, "entered"), "a") as file:
        file.write(name + "\\n")

def work(folder, n):
    note(folder, f"work {n}")
    time.sleep(0.01)
    return n * n

@agent(max_concurrency=0, overlap="allow")
async def inline(ctx: Context, folder: str, steps: int):
    total = 0
    for n in range(steps):
        total += await ctx.step("work", work, folder, n)
        if n % 10 == 9:
            await ctx.sleep(0.05)
    return total

@agent(max_concurrency=0, overlap="allow")
def worker(ctx: SyncContext, folder: str, steps: int):
    total = 0
    for n in range(steps):
        total += ctx.step("work", work, folder, n)
        if n % 10 == 9:
            ctx.sleep(0.05)
    return total

@agent
async def approval(ctx: Context, what: str):
    answer = await ctx.wait_signal("approve", timeout=3600, message=f"May I publish {what}?")
    return {"by": answer["by"]}

@agent(max_concurrency=0, overlap="allow")
async def napper(ctx: Context, seconds: float):
    await ctx.sleep(seconds)
    return "awake"
'''


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "durable_agents.py"
    file.write_text(AGENTS)
    return file


@pytest.mark.parametrize("agent", ["inline", "worker"])
async def test_killed_at_random_steps_each_journaled_step_ran_once(up, path, tmp_path, agent):
    steps, dice = 120, random.Random(5)
    crew = up(path).start()
    async with Client(crew.address) as client:
        execution = await client.agents.trigger(agent, {"folder": str(tmp_path), "steps": steps})
        journaled = set()
        for kill in range(1, 5):
            goal = kill * 20 + dice.randrange(20)

            async def far(goal=goal):
                found, _ = await client.executions.steps(execution.id).take(0)
                return found if len(found) >= goal else None

            found = await eventually(far, what=f"{goal} steps")
            journaled |= {one.ordinal for one in found if one.name == "work"}
            crew.kill()
            entered = (tmp_path / "entered").read_text().splitlines()
            crew.start()
        ended = await asyncio.wait_for(client.executions.wait(execution.id), 60)
        assert (ended.state, ended.result) == ("STATE_SUCCEEDED", sum(n * n for n in range(steps)))
        found, _ = await client.executions.steps(execution.id).take(0)
    assert crew.stop() == 0
    entered = (tmp_path / "entered").read_text().splitlines()
    times = [entered.count(f"work {n}") for n in range(steps)]
    assert [one.result for one in found if one.name == "work"] == [n * n for n in range(steps)]
    # Only a step that was under way at a kill, and so in no journal, ran twice.
    assert sum(times) <= steps + 4
    assert all(times)
    assert len(journaled) > 40


async def test_a_person_answers(up, path):
    crew = up(path).start()
    async with Client(crew.address) as client:
        execution = await client.agents.trigger("approval", {"what": "the news"})
        await eventually(lambda: _is(client, execution.id, "STATE_WAITING"), what="a question")
        shown = await crew_says(crew, "executions", "list", "--state", "waiting", "--output", "json")
        (question,) = (
            [json.loads(line) for line in shown.splitlines()] if shown[0] == "{" else json.loads(shown)
        )
        assert question["wait"]["message"] == "May I publish the news?"
        crew.kill()
        crew.start()
        await crew_says(crew, "executions", "signal", execution.id, "approve", "--payload", '{"by": "ann"}')
        ended = await asyncio.wait_for(client.executions.wait(execution.id), 20)
        assert ended.result == {"by": "ann"}
        steps = await crew_says(crew, "executions", "steps", execution.id)
        assert "approve" in steps
    assert crew.stop() == 0


async def test_many_that_wait_over_a_restart(up, path):
    many = 300
    crew = up(path).start()
    async with Client(crew.address) as client:
        made = await asyncio.gather(*(client.agents.trigger("napper", {"seconds": 4}) for _ in range(many)))
        await eventually(lambda: _is(client, made[-1].id, "STATE_WAITING"), what="the last to wait")
        crew.kill()
        crew.start()
        ended = await asyncio.wait_for(asyncio.gather(*(client.executions.wait(one.id) for one in made)), 40)
        assert {(one.state, one.result) for one in ended} == {("STATE_SUCCEEDED", "awake")}
    assert crew.stop() == 0


async def _is(client, execution_id, state):
    return (await client.executions.get(execution_id)).state == state


async def crew_says(crew, *words):
    said = await asyncio.to_thread(crew.cli, *words)
    assert said.returncode == 0, said.stderr
    return said.stdout
