"""Outbound hooks over kill -9 and a receiver that fails: every outcome arrives, each under one id, rightly signed."""

import asyncio
import json
import random

import pytest
from standardwebhooks import Webhook
from tests.harness.waiting import eventually
from tests.peer.receiver import Receiver, Reply

from nightcrew.client import Client

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example

AGENTS = """
from nightcrew.agent import agent

@agent(overlap="buffer_all", max_concurrency=10)
async def work(n: int):
    return n
"""

HOOK = """
allow_private = ["127.0.0.1"]

[[outbound]]
name = "out"
url = "{url}"
types = ["nightcrew.execution.succeeded"]
secret = "{secret}"
schedule = ["0.2s"]
max_attempts = {attempts}
"""


@pytest.fixture
def crew(up, agents, tmp_path):
    crew = up(agents("work", AGENTS))

    def write(receiver, attempts=100):
        text = HOOK.format(url=receiver.url(), secret=SECRET, attempts=attempts)
        (tmp_path / "crew" / "nightcrew.toml").write_text(text)

    crew.write_hooks = write
    return crew


def outcomes(receiver):
    """webhook-id → the executions that were told under it, of requests that were answered with 200."""
    found = {}
    for came, status in receiver.taken:
        if status == 200:
            found.setdefault(came.headers["webhook-id"], set()).add(came.json["executionid"])
    return found


async def test_nothing_is_lost_over_kills_of_the_runtime_and_faults_of_the_receiver(crew):
    chance = random.Random(5)
    receiver = Receiver()
    receiver.taken = []

    def answer(came):
        reply = chance.choice([Reply(), Reply(), Reply(), Reply(500), Reply(broken=True)])
        Webhook(SECRET).verify(came.body, came.headers)
        receiver.taken.append((came, 0 if reply.broken else reply.status))
        return reply

    receiver.answer = answer
    acknowledged = set()
    with receiver:
        crew.write_hooks(receiver)
        for _ in range(3):
            crew.start()
            async with Client(crew.address) as client:
                for _ in range(4):
                    made = await asyncio.gather(*(client.agents.trigger("work", {"n": n}) for n in range(25)))
                    acknowledged |= {one.id for one in made}
            crew.kill()
        crew.start()
        async with Client(crew.address) as client:
            for one in acknowledged:
                assert (await client.executions.wait(one)).state == "STATE_SUCCEEDED"

            async def delivered():
                (hook,) = (await client.runtime.get()).outbound
                return set().union(*outcomes(receiver).values()) == acknowledged and not hook.retrying

            await eventually(delivered, within=30, what="the last delivery")
            (hook,) = (await client.runtime.get()).outbound
            assert (hook.dead, hook.disabled) == (0, "")
        assert crew.stop() == 0
    found = outcomes(receiver)
    assert all(len(executions) == 1 for executions in found.values()), "an id stands for one event"
    assert len(found) == len(acknowledged) == 300


async def test_what_is_given_up_is_seen_and_can_be_sent_again(crew):
    with Receiver(lambda _: Reply(500, b"out of order")) as receiver:
        crew.write_hooks(receiver, attempts=2)
        crew.start()
        async with Client(crew.address) as client:
            await client.executions.wait((await client.agents.trigger("work", {"n": 1})).id)

            async def dead():
                return (await client.runtime.get()).outbound[0].dead == 1

            await eventually(dead, what="the end of its attempts")
            (event,) = [one async for one in client.events.list(filter='type = "nightcrew.delivery.failed"')]
            assert event.data["reason"] == "the receiver answered 500: out of order"
        shown = crew.cli("events", "deliveries", "--state", "dead", "--output", "json")
        (row,) = json.loads(shown.stdout)
        assert (row["hook"], row["state"], row["attempts"], row["status"]) == ("out", "STATE_DEAD", 2, 500)
        assert "1 dead" in crew.cli("status").stdout
        receiver.answer = lambda _: Reply()
        again = crew.cli("events", "redeliver", "out", "--output", "json")
        assert json.loads(again.stdout) == {"retried": 1}
        async with Client(crew.address) as client:
            await eventually(lambda: _none(client), what="its delivery")
    assert crew.stop() == 0


async def _none(client):
    return not [one async for one in client.events.deliveries()]


def test_a_faulty_table_is_named_and_nothing_starts(crew, tmp_path):
    (tmp_path / "crew" / "nightcrew.toml").write_text(
        '[[outbound]]\nname = "out"\nurl = "https://h"\nsecret = "x"'
    )
    crew.launch()
    assert crew.wait() == 2
    assert "outbound[0].types (nightcrew.toml): is required" in crew.stderr()
    assert "outbound[0].secret (nightcrew.toml): must be whsec_" in crew.stderr()
