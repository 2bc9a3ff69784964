"""kill -9 of a worker process: its runs go on in a new one, uncounted, and nothing else notices."""

import asyncio

from tests.harness.chaos import check_history, ticking_of
from tests.harness.waiting import eventually, everything

from nightcrew.client import Client


async def begins(client, execution_id):
    await eventually(lambda: everything(client.executions.logs(execution_id)), what="its first words")


async def test_runs_of_a_killed_worker_go_on_in_a_new_one(up, agents):
    path = agents("crew")
    crew = up(path, env={"NIGHTCREW_WORKERS": "1"}).start()
    async with Client(crew.address) as client:
        other = await client.agents.trigger("steady", {"seconds": 3})
        begun = [await client.agents.trigger("pooled", {"n": n, "seconds": 1.5}) for n in range(4)]
        for one in begun:
            await begins(client, one.id)
        worker = crew.workers()[0]
        worker.kill()
        ended = await asyncio.wait_for(asyncio.gather(*(client.executions.wait(one.id) for one in begun)), 20)
        for n, one in enumerate(ended):
            assert (one.state, one.attempt, one.interruptions) == ("STATE_SUCCEEDED", 1, 1)
            assert one.result["n"] == n
            assert one.result["pid"] not in {worker.pid, crew.pid}
            async with client.executions.watch(one.id) as watch:
                items = [item async for item in watch]
            assert items
        assert len({one.result["pid"] for one in ended}) == 1, "one new worker took them all"
        other = await asyncio.wait_for(client.executions.wait(other.id), 10)
        assert (other.state, other.interruptions) == ("STATE_SUCCEEDED", 0)
        ticking = await ticking_of(client, ["tick", "tock"])
    assert crew.stop() == 0
    history = check_history(crew, path, ticking=ticking)
    neighbours = [one for one in history.fires if one.agent_id in {"tick", "tock"}]
    assert {one.outcome for one in neighbours} == {"OUTCOME_STARTED", "OUTCOME_NOT_ACTIVE"}, (
        "save for its pause"
    )
    requeued = {one.execution_id: one.reason for one in history.events if one.reason}
    assert {requeued.get(one.id) for one in begun} == {"worker_lost"}
    assert "was killed by SIGKILL" in crew.stderr()
