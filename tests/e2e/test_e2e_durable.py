"""Durable work over real processes: a person who answers, and a crowd that waits, over kill -9."""

import asyncio
import json

import httpx
import pytest
from tests.harness.waiting import eventually

from nightcrew.client import Client

AGENTS = """
from nightcrew.agent import agent, Context, SyncContext

@agent
async def approval(ctx: Context, what: str):
    answer = await ctx.wait_signal("approve", timeout=3600, message=f"May I publish {what}?")
    return {"by": answer["by"]}

def note(folder, line):
    with open(f"{folder}/entered", "a") as file:
        file.write(line + "\\n")

@agent
def by_mail(ctx: SyncContext, folder: str):
    link = ctx.signal_url("approve", expires=3600)
    ctx.step("mail", note, folder, link)
    return ctx.wait_signal("approve", message="May I?")

@agent(max_concurrency=0, overlap="allow")
async def napper(ctx: Context, seconds: float):
    await ctx.sleep(seconds)
    return "awake"
"""


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "agents"
    folder.mkdir()
    file = folder / "durable_agents.py"
    file.write_text(AGENTS)
    return file


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


async def test_a_person_follows_a_link(up, path, tmp_path):
    crew = up(path).start()
    async with Client(crew.address) as client, httpx.AsyncClient(trust_env=False) as web:
        execution = await client.agents.trigger("by-mail", {"folder": str(tmp_path)})
        await eventually(lambda: _is(client, execution.id, "STATE_WAITING"), what="a question")
        (link,) = (tmp_path / "entered").read_text().splitlines()
        crew.kill()
        crew.start()
        assert "May I?" in (await web.get(link)).text
        assert (await web.post(link, json={"by": "ann"})).status_code == 202
        ended = await asyncio.wait_for(client.executions.wait(execution.id), 20)
        assert ended.result == {"by": "ann"}
        assert (tmp_path / "entered").read_text().splitlines() == [link]
        assert (await web.post(link, json={"by": "bob"})).status_code == 409
        other = await client.agents.trigger("approval", {"what": "it"})
        made = await crew_says(
            crew, "executions", "signal-url", other.id, "approve", "--payload", '{"by": "x"}'
        )
        (url,) = [word for word in made.split() if word.startswith("http://")]
        assert (await web.post(url)).status_code == 202
        assert (await asyncio.wait_for(client.executions.wait(other.id), 20)).result == {"by": "x"}
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
