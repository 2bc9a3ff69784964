"""Many executions retried and cancelled from the command line, over a kill -9 in the middle."""

import asyncio
import uuid

import pytest
from tests.harness.waiting import eventually

from nightcrew.client import Client, TriggerRequest, Unavailable

AGENTS = """
import asyncio
from nightcrew.agent import agent

@agent(max_concurrency=0, overlap="allow")
async def fails():
    raise ValueError("no")

@agent
async def holds():
    await asyncio.Event().wait()
"""
MANY = 1000


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "bulk_agents.py"
    file.write_text(AGENTS)
    return file


async def count(client, query):
    found, _ = await client.executions.list(filter=query, page_size=1000).take(0)
    return len(found)


async def test_a_thousand_are_retried_once_over_a_kill(up, path):
    crew = up(path).start()
    failed = 'agent_id = "fails" AND state = "STATE_FAILED"'
    async with Client(crew.address) as client:
        for _ in range(MANY // 100):
            await client.agents.trigger_many([TriggerRequest(agent_id="fails")] * 100)

        async def all_failed():
            return await count(client, failed) == MANY

        await eventually(all_failed, within=60, what="a thousand failures")
        request_id = str(uuid.uuid4())
        under_way = asyncio.create_task(client.executions.retry_all(failed, request_id=request_id))

        async def some_retried():
            return await count(client, 'agent_id = "fails" AND trigger.kind = "KIND_RETRY"') > 50

        await eventually(some_retried, within=30, what="some retries", every=0.001)
        crew.kill()
        crew.start()
        try:
            outcome = await under_way  # the client has repeated it
        except Unavailable:
            outcome = await client.executions.retry_all(failed, request_id=request_id)
        assert (outcome.matched, outcome.done, outcome.failed) == (MANY, MANY, 0)
        found, _ = await client.executions.list(
            filter='agent_id = "fails" AND trigger.kind = "KIND_RETRY"', page_size=1000
        ).take(0)
        assert len(found) == MANY
        assert len({one.trigger.cause_execution_id for one in found}) == MANY

        for _ in range(5):
            await client.agents.trigger("holds")
        mine = 'agent_id = "holds"'
        said = await asyncio.to_thread(crew.cli, "executions", "cancel", "--filter", mine, "--dry-run")
        assert (said.returncode, "5" in said.stdout) == (0, True)
        assert await count(client, f'{mine} AND state = "STATE_CANCELLED"') == 0
        said = await asyncio.to_thread(
            crew.cli, "executions", "cancel", "--filter", mine, "--reason", "enough", "--yes"
        )
        assert said.returncode == 0, said.stderr

        async def all_cancelled():
            return await count(client, f'{mine} AND state = "STATE_CANCELLED"') == 5

        await eventually(all_cancelled, within=20, what="five cancelled")
        for words in (
            ["cancel"],
            ["retry"],
            ["cancel", "x", "--filter", mine],
            ["retry", "x", "--dry-run"],
            ["cancel", "--filter", mine],
        ):
            wrong = await asyncio.to_thread(crew.cli, "executions", *words)
            assert wrong.returncode == 2, wrong.stderr
    assert crew.stop() == 0
