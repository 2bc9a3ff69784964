"""Schedules that fire while they are edited twice a second, over real gRPC: nothing of an old version, nothing lost."""

import asyncio
import json
import math
import random
import sqlite3
import time
from datetime import datetime, timedelta

from nightcrew.client import Client

SECONDS = 6.0
EVERY = {"a": 100, "b": 150, "c": 200}
"""Milliseconds between the fires of each agent."""
TICK = """
from nightcrew.agent import agent

@agent(overlap="buffer_all")
async def tick(version: int) -> int:
    return version
"""


def manifest(agent_id, version):
    """An agent whose fires tell its version. What its schedule says changes, and its times do not."""
    schedule = {"interval": {"every": f"{EVERY[agent_id] / 1000}s"}, "max_fires": 100_000 + version}
    trigger = {"id": "it", "input": {"version": version}, "schedule": schedule}
    return {
        "id": agent_id,
        "spec": {
            "program": {"python": {"entrypoint": "tick:tick"}},
            "execution": {"overlap": "OVERLAP_POLICY_BUFFER_ALL"},
            "triggers": [trigger],
        },
    }


async def edits(crew, agent_id):
    """Edits one agent twice a second, about when it fires; returns when each version began, as the server says."""
    began = []
    dice = random.Random(agent_id)
    step = EVERY[agent_id] / 1000
    end = time.time() + SECONDS
    while (now := time.time()) < end:
        at = math.ceil((now + 0.4) / step) * step + dice.uniform(-0.003, 0.001)
        await asyncio.sleep(at - now)
        changed = await crew.agents.update(agent_id, manifest(agent_id, len(began) + 1), mask=["spec"])
        began.append(changed.update_time)
    return began


def rows(crew, sql, *values):
    with sqlite3.connect(f"file:{crew.data}/nightcrew.db?mode=ro", uri=True) as file:
        return file.execute(sql, values).fetchall()


async def test_edits_of_a_schedule_that_fires_lose_nothing_and_nothing_old_fires_after_the_answer(up, agents):
    crew = up(agents("tick", TICK)).start()
    async with Client(crew.address) as client:
        await client.agents.apply([manifest(one, 0) for one in EVERY])
        for one in EVERY:
            await client.agents.start(one)
        began = await asyncio.gather(*(edits(client, one) for one in EVERY))
    assert crew.stop() == 0
    assert all(len(times) >= SECONDS for times in began)

    versions = {}
    for execution_id, given, nominal in rows(crew, "SELECT id, input, nominal_time FROM executions"):
        versions[execution_id] = (json.loads(given)["version"], nominal)
    for agent_id, times in zip(EVERY, began, strict=True):
        # The log's order is that of the commits: behind an edit comes no fire of an older version.
        current = fired = 0
        for kind, execution_id in rows(
            crew, "SELECT type, execution_id FROM events WHERE agent_id = ? ORDER BY sequence", agent_id
        ):
            if kind == "nightcrew.agent.updated":
                current += 1
            elif kind == "nightcrew.execution.queued":
                fired += 1
                assert versions[execution_id][0] == current
        ledger = rows(
            crew,
            "SELECT nominal_time, count, outcome, execution_id FROM fires"
            # A time between its creation and its start has a row too.
            " WHERE agent_id = ? AND outcome != 'OUTCOME_NOT_ACTIVE' ORDER BY nominal_time",
            agent_id,
        )
        step = EVERY[agent_id] * 1000
        first = ledger[0][0]
        assert [row[:2] for row in ledger] == [(first + n * step, 1) for n in range(len(ledger))]
        # What waited for its turn as the runtime ended is kept for the next one.
        assert {row[2] for row in ledger} <= {"OUTCOME_STARTED", "OUTCOME_BUFFERED"}
        assert fired == len(ledger) >= SECONDS * 1000 / EVERY[agent_id]
        # No version fires a time that lies before it.
        for *_, execution_id in ledger:
            version, nominal = versions[execution_id]
            assert version == 0 or nominal > to_micros(times[version - 1])


def to_micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // timedelta(microseconds=1)
