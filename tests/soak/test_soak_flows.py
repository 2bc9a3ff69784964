"""kill -9 of the runtime and of its workers while real flows run: each of them still gives its own answer."""

import asyncio

import pytest
from tests.harness.fixtures import FLOWS
from tests.harness.waiting import holds

from nightcrew.client import Client, RetryPolicy

pytestmark = pytest.mark.langflow

PATIENT = RetryPolicy(attempts=200, initial=0.05, multiplier=1.5, maximum=0.5)
ROUNDS = 3


async def test_flows_go_on_after_kills(up, figures):
    crew = up(*(one for one in FLOWS if one.stem in {"prompt_echo", "slow_sleep"})).start()
    begun: dict[str, str] = {}
    async with Client(crew.address, timeout=60, retry=PATIENT) as client:
        for name in ("prompt-echo", "slow-sleep"):
            await client.agents.update(
                name,
                {"spec": {"execution": {"max_concurrency": 20}}},
                mask=["spec.execution.max_concurrency"],
            )
        for turn in range(ROUNDS):
            for n in range(10):
                text = f"{turn}-{n}"
                echo = await client.agents.trigger("prompt-echo", {"input_value": text})
                slow = await client.agents.trigger(
                    "slow-sleep", {"input_value": text, "tweaks": {"Slow-1": {"secs": 3}}}
                )
                begun |= {echo.id: f"You said: {text}! Reply politely.", slow.id: f"done {text}"}
            await asyncio.sleep(1)
            await asyncio.to_thread(crew.kill)
            await asyncio.to_thread(crew.start)
            await holds(crew.workers, within=20, what="workers")
            await asyncio.sleep(2.5)
            for worker in crew.workers():
                worker.kill()
        ended = await asyncio.wait_for(asyncio.gather(*(client.executions.wait(one) for one in begun)), 120)
    assert {one.id: one.result["text"] for one in ended} == begun
    assert {one.attempt for one in ended} == {1}
    figures(
        [
            f"{len(ended)} runs of flows over {ROUNDS} kills, {sum(one.interruptions for one in ended)} interruptions"
        ]
    )
    assert crew.stop() == 0
