"""Events over kill -9: what is published wakes all that match exactly once, in order, whatever happens meanwhile."""

import asyncio
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

from tests.harness.chaos import nothing_is_open
from tests.harness.process import NIGHTCREW
from tests.harness.waiting import eventually, until

from nightcrew.client import Client, NightcrewClientError
from nightcrew.client.models.event import NewEvent

GUIDE = Path(__file__).parents[2] / "docs" / "events.md"
CROWD = 1000
CHAINS = 25
CYCLES = 3
DEPTH = 32
KILLS = 3


def rows(crew, sql, *values):
    with sqlite3.connect(f"file:{crew.data}/nightcrew.db?mode=ro", uri=True) as file:
        return file.execute(sql, values).fetchall()


async def crowd(client):
    """A thousand agents that one event wakes."""
    trigger = {"id": "event", "event": {"types": ["crowd"], "filter": "event.data < 1000"}}
    spec = {"program": {"python": {"entrypoint": "wired:member"}}, "triggers": [trigger]}
    await client.agents.apply(
        [{"id": f"member-{n}", "labels": {"kind": "crowd"}, "spec": spec} for n in range(CROWD)]
    )
    results = await client.agents.start_all({"kind": "crowd"})
    assert len(results) == CROWD


async def publish(client, kind, number):
    """Publishes one event until it is answered: with an id of its own it is the same event each time."""
    event = NewEvent(type=kind, source="/e2e", id=f"{kind}-{number}", data=number)
    while True:
        try:
            (result,) = await client.events.publish([event])
        except NightcrewClientError:
            await asyncio.sleep(0.05)
        else:
            return result.sequence


async def test_every_event_wakes_all_that_match_once_across_kills(up, agents):
    crew = up(agents("wired")).start()
    dice = random.Random(5)
    async with Client(crew.address, timeout=60) as client:
        await crowd(client)
        wishes = [("begin", n) for n in range(CHAINS)]
        wishes += [("serve", n) for n in range(CYCLES)] + [("crowd", n) for n in range(2)]
        order = wishes[:CHAINS]
        for wish in wishes[CHAINS:]:
            order.insert(dice.randrange(len(order)), wish)

        async def all_of_them():
            answered = {}
            for wish in order:
                answered[wish] = await publish(client, *wish)
                await asyncio.sleep(0.05)
            return answered

        def ended():
            return rows(crew, "SELECT count(*) FROM executions WHERE end_time IS NOT NULL")[0][0]

        async def strikes():
            for _ in range(KILLS):
                before = ended()

                async def has_gone_on(before=before):
                    return ended() > before

                await eventually(has_gone_on, within=30, what="work that goes on")
                crew.kill()
                await asyncio.to_thread(crew.start)

        answered, _ = await asyncio.gather(all_of_them(), strikes())
        await nothing_is_open(client, within=120)
        fires = [one async for one in client.schedules.fires()]
    assert crew.stop() == 0

    made = rows(
        crew,
        "SELECT agent_id, state, event_sequence, depth, input, result FROM executions ORDER BY seq",
    )
    assert {row[1] for row in made} == {"STATE_SUCCEEDED"}
    twice = Counter(row[:1] + row[2:3] for row in made)
    assert max(twice.values()) == 1, "a trigger was given an event twice"
    found = {row[0] for row in rows(crew, "SELECT id FROM events WHERE source = '/e2e'")}
    assert found == {f"{kind}-{number}" for kind, number in answered}

    by_agent = {}
    for agent_id, _, sequence, depth, given, result in made:
        by_agent.setdefault(agent_id, []).append((sequence, depth, given, result))
    begun = [answered["begin", n] for n in range(CHAINS)]
    assert [one[0] for one in by_agent["first"]] == begun
    for depth, agent_id in enumerate(("first", "second", "third"), 1):
        assert sorted(json.loads(one[3]) for one in by_agent[agent_id]) == list(range(CHAINS))
        assert {one[1] for one in by_agent[agent_id]} == {depth}
    # The backlog of five was full nearly all the time: everything came all the same, in order.
    assert [one[0] for one in by_agent["narrow"]] == begun
    cycle = sorted(one[1] for agent_id in ("ping", "pong") for one in by_agent[agent_id])
    assert cycle == sorted(list(range(1, DEPTH + 1)) * CYCLES)
    limited = sum(one.count for one in fires if one.outcome == "OUTCOME_DEPTH_LIMIT")
    assert limited == CYCLES
    members = {agent_id: ones for agent_id, ones in by_agent.items() if agent_id.startswith("member-")}
    assert len(members) == CROWD
    woke = {answered["crowd", n] for n in range(2)}
    assert all({one[0] for one in ones} == woke and len(ones) == 2 for ones in members.values())


def test_the_guide_says_what_happens(up, agents, tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    crew = up(agents("orders", next(text for kind, text in blocks if kind == "python"))).start()
    path = f"{Path(NIGHTCREW[0]).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "NIGHTCREW_ADDRESS": crew.address}
    for (kind, text), (following, shown) in itertools.pairwise([*blocks, ("", "")]):
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-euc", text.replace("127.0.0.1:7448", crew.web)],
                env=env,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (text, done.stderr)
            if following == "json":
                told = [json.loads(one)["results"][0]["deduplicated"] for one in (done.stdout, shown)]
                assert told[0] == told[1]

    def has_ended(agent_id, result):
        return result in crew.cli("executions", "list", "--agent", agent_id, "--output", "json").stdout

    for one in (("check", '"ok": false'), ("alarm", "order 42 looks odd")):
        until(partial(has_ended, *one), within=20, what=f"the outcome of {one[0]}")
    assert crew.stop() == 0
