"""Residents over real processes: kill -9 of the runtime and of a worker, a drain, a crash loop, hundreds of them."""

import asyncio
import os
import signal

import pytest
from tests.harness.waiting import eventually

from nightcrew.client import Client

AGENTS = """
import asyncio, os, time
from pathlib import Path
from nightcrew.agent import agent, Context, Restart, SyncContext, resident

FOLDER = Path(__file__).parent

def say(word):
    with open(FOLDER / "said", "a") as file:
        file.write(word + "\\n")

async def live(name):
    say(f"{name} begins in {os.getpid()}")
    try:
        await asyncio.Event().wait()
    finally:
        say(f"{name} ends")

@agent(triggers=[resident()])
async def first(ctx: Context):
    await live("first")

@agent(triggers=[resident()])
async def second(ctx: Context):
    await live("second")

@agent(triggers=[resident()], isolation="dedicated", restart=Restart(initial_backoff=0.1))
def own(ctx: SyncContext):
    say(f"own begins in {os.getpid()}")
    while True:
        time.sleep(0.05)

@agent(triggers=[resident()], restart=Restart(intensity=2, initial_backoff=0.05, period=10))
async def loops():
    say("loops")
    raise ValueError("again")
"""

MANY = """
import asyncio
from nightcrew.agent import agent, resident

def make(number):
    @agent(id=f"r{number}", triggers=[resident()])
    async def body():
        await asyncio.Event().wait()
    return body

for number in range(300):
    globals()[f"r{number}"] = make(number)
"""


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "watchers.py"
    file.write_text(AGENTS)
    return file


def said(path):
    file = path.parent / "said"
    return file.read_text().splitlines() if file.exists() else []


async def running(client, agent_id):
    found, _ = await client.executions.list(filter=f'agent_id = "{agent_id}"').take(0)
    return [one for one in found if one.state == "STATE_RUNNING"]


async def one_runs(client, agent_id, but=""):
    """The one execution of a resident that runs now, another than `but`."""

    async def look():
        found = await running(client, agent_id)
        assert len(found) <= 1
        return found[0] if found and found[0].id != but else None

    return await eventually(look, within=30, what=f"a run of {agent_id}")


async def in_error(client, agent_id):
    found = await client.agents.get(agent_id)
    return found if found.state == "STATE_ERROR" else None


async def test_residents_through_kills_and_a_drain(up, path):
    crew = up(path).start()
    async with Client(crew.address) as client:
        failed = await eventually(lambda: in_error(client, "loops"), what="the crash loop's end")
        assert failed.state_reason == "restart_intensity"
        assert said(path).count("loops") == 3
        assert (await client.agents.status("loops")).status.restarts == 2

        before = await one_runs(client, "first")
        await one_runs(client, "own")
        assert before.trigger.kind == "KIND_RESIDENT"
        crew.kill()
        crew.start()
        after = await one_runs(client, "first", but=before.id)
        assert after.trigger.cause_execution_id == before.id
        assert (await client.executions.get(before.id)).error.type == "runtime_restarted"
        assert (await client.agents.get("loops")).state == "STATE_ERROR", "an error outlives a restart"

        # Its worker is its own: it can be killed and nobody else notices.
        own = await one_runs(client, "own")
        pid = await eventually(lambda: worker_of(path, crew), what="the worker of `own`")
        os.kill(pid, signal.SIGKILL)
        again = await one_runs(client, "own", but=own.id)
        assert (await client.executions.get(own.id)).error.type == "worker_lost"
        assert again.trigger.cause_execution_id == own.id
        assert (await one_runs(client, "first")).id == after.id

        await client.agents.pause("second")
        await eventually(lambda: none_runs(client, "second"), what="the end of `second`")
        await client.agents.resume("second")
        second = await one_runs(client, "second")
    lines = len(said(path))
    assert crew.stop() == 0
    # The one that began last ends first.
    assert [one for one in said(path)[lines:] if one.endswith("ends")] == ["second ends", "first ends"]
    crew.start()
    async with Client(crew.address) as client:
        assert (await client.executions.get(second.id)).state == "STATE_CANCELLED"
        await one_runs(client, "second")
        await one_runs(client, "first")
        await one_runs(client, "own")
    assert crew.stop() == 0


async def worker_of(path, crew):
    """The process in which `own` was begun last, if it is not the runtime itself."""
    pids = [int(one.rsplit(" ", 1)[1]) for one in said(path) if one.startswith("own begins")]
    return pids[-1] if pids and pids[-1] != crew.pid else None


async def none_runs(client, agent_id):
    return not await running(client, agent_id)


async def test_hundreds_of_residents_come_back_after_a_kill(up, tmp_path):
    file = tmp_path / "many_residents.py"
    file.write_text(MANY)
    crew = up(file).start()

    async def all_run(client):
        async def look():
            return (await client.runtime.get()).running == 300

        await eventually(look, within=60, what="residents")

    async with Client(crew.address) as client:
        await all_run(client)
        crew.kill()
        crew.start()
        await all_run(client)
        found, _ = await client.executions.list(filter='state = "STATE_RUNNING"', page_size=1000).take(0)
        assert len({one.agent_id for one in found}) == 300
        assert (await asyncio.wait_for(client.agents.trigger("r7"), 5)).agent_id == "r7"
    assert crew.stop() == 0
