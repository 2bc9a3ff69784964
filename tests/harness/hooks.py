"""Senders of webhooks that try again until they are answered, and what must be true of what they were answered."""

import asyncio
import base64
import hmac
import json
import random
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field

import httpx
from tests.harness.chaos import nothing_is_open
from tests.harness.process import RuntimeProcess

from nightcrew.client import Client

AGENT = "hooked"
TOKEN = {"NIGHTCREW_SECRET_HOOKED": "bearer-token"}
"""What the runtime of `agents/hooked.py` must have in its environment."""


def github(delivery: str, body: bytes) -> dict[str, str]:
    """The headers of a request from GitHub."""
    signature = hmac.digest(b"github's", body, "sha256").hex()
    return {"x-hub-signature-256": f"sha256={signature}", "x-github-delivery": delivery}


def standard(delivery: str, body: bytes) -> dict[str, str]:
    """The headers of a Standard Webhooks request, signed now."""
    moment = str(int(time.time()))
    content = f"{delivery}.{moment}.".encode() + body
    signature = base64.b64encode(hmac.digest(b"standard", content, "sha256")).decode()
    return {"webhook-id": delivery, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}"}


def bearer(delivery: str, body: bytes) -> dict[str, str]:
    """The headers of a request with a token."""
    del body
    return {"authorization": "Bearer bearer-token", "idempotency-key": delivery}


SIGNERS: tuple[Callable[[str, bytes], dict[str, str]], ...] = (github, standard, bearer)


@dataclass
class Report:
    """What the senders were answered."""

    answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    torn: int = 0
    seconds: float = 0.0
    starts: list[float] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        """For people."""
        again = sum(len(one) - 1 for one in self.answers.values())
        yield f"{len(self.answers)} deliveries in {self.seconds:.1f} s, {len(self.starts)} kills between them"
        yield f"answers: {dict(self.statuses)}; connections torn or refused: {self.torn}; sent again after a 202: {again}"


async def storm(
    crew: RuntimeProcess, *, count: int, seconds: float, connections: int, kills: int, seed: int
) -> Report:
    """Sends deliveries evenly over a time while the runtime is killed, and checks what became of them.

    Each is sent until a 2xx comes, and one in ten of them once more: senders do that.
    """
    chance = random.Random(seed)
    report, queue = Report(), iter(range(count))
    begin = time.monotonic()

    async def send(client: httpx.AsyncClient, number: int) -> None:
        signer = SIGNERS[number % len(SIGNERS)]
        delivery = f"{signer.__name__}-{number}"
        body = json.dumps({"delivery": delivery}).encode()
        wanted = 2 if chance.random() < 0.1 else 1
        while len(report.answers[delivery]) < wanted:
            headers = {"content-type": "application/json", **signer(delivery, body)}
            url = f"http://{crew.web}/hooks/{AGENT}/{signer.__name__}"
            try:
                answer = await client.post(url, content=body, headers=headers)
            except httpx.TransportError:
                report.torn += 1
                await asyncio.sleep(0.05)  # a sender's own pause: there is nothing to wait for
                continue
            report.statuses[answer.status_code] += 1
            if answer.status_code == 202:
                report.answers[delivery].append(answer.json()["execution_id"])
            else:
                assert answer.status_code in {429, 503}, (answer.status_code, answer.text)
                await asyncio.sleep(0.05)

    async def connection() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            for number in queue:
                await asyncio.sleep(max(0.0, begin + number * seconds / count - time.monotonic()))
                await send(client, number)

    async def killer() -> None:
        for number in range(kills):
            moment = begin + (number + 1 + (chance.random() - 0.5) / 2) * seconds / (kills + 1)
            await asyncio.sleep(max(0.0, moment - time.monotonic()))
            await asyncio.to_thread(crew.kill)
            started = time.monotonic()
            await asyncio.to_thread(crew.start)
            report.starts.append(time.monotonic() - started)

    async with asyncio.TaskGroup() as group:
        group.create_task(killer())
        for _ in range(connections):
            group.create_task(connection())
    report.seconds = time.monotonic() - begin
    async with Client(crew.address, timeout=60) as client:
        await nothing_is_open(client)
    assert await asyncio.to_thread(crew.stop) == 0
    _check(crew, report, count)
    return report


def _check(crew: RuntimeProcess, report: Report, count: int) -> None:
    """Every 202 has its execution, which has ended well, and each delivery has exactly one."""
    with closing(sqlite3.connect(crew.data / "nightcrew.db")) as connection:
        rows = connection.execute("SELECT id, input, state, result, trigger_id FROM executions").fetchall()
    by_delivery: dict[str, list[str]] = defaultdict(list)
    for execution_id, given, state, result, trigger_id in rows:
        delivery = json.loads(given)["webhook"]["body"]["delivery"]
        by_delivery[delivery].append(execution_id)
        assert state == "STATE_SUCCEEDED", (delivery, state)
        assert json.loads(result) == delivery
        assert delivery.startswith(trigger_id)
    doubled = {delivery: ids for delivery, ids in by_delivery.items() if len(ids) != 1}
    assert not doubled, f"{len(doubled)} deliveries have several executions: {list(doubled.items())[:5]}"
    assert len(report.answers) == count
    wrong = {
        delivery: (ids, by_delivery[delivery])
        for delivery, ids in report.answers.items()
        if set(ids) != set(by_delivery[delivery])
    }
    assert not wrong, f"{len(wrong)} answers name another execution than there is: {list(wrong.items())[:5]}"
    assert set(by_delivery) == set(report.answers)
