"""Mixed load on `agents/mixed.py`: durable work, signals, events, webhooks, retries and commands, all remembered."""

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import httpx
from tests.harness.history import Signalled, Wanted
from tests.harness.load import LOST, PATIENT

from nightcrew.client import Client
from nightcrew.client.errors import FailedPrecondition, NightcrewClientError
from nightcrew.client.models.event import NewEvent

T = TypeVar("T")

DURABLE: Final = ("stepper", "stepping", "fanout", "parent", "grumpy", "stepper")
SIGNALS: Final = 3
COMMANDS: Final = (
    ("pause", "STATE_PAUSED"),
    ("resume", "STATE_ACTIVE"),
    ("stop", "STATE_STOPPED"),
    ("start", "STATE_ACTIVE"),
)
"""In turns: each is allowed in the state that the one before leaves."""


class MixedLoad:
    """Callers of each kind, who repeat a call with its request id until they know its answer.

    Args:
        address: The runtime's.
        web: Where its webhooks are.
        seed: Makes what they do the same again.
        pause: Seconds that each rests between its calls.
        timeout: Seconds that a call may take.
    """

    def __init__(self, address: str, web: str, *, seed: int, pause: float, timeout: float = 90) -> None:
        self.calls: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.faults: list[str] = []
        self.durable: list[str] = []
        self.signalled: list[Signalled] = []
        self.cancelled: list[str] = []
        self.commanded: dict[str, str] = {}
        self._published: dict[str, set[str]] = {}
        self._delivered: dict[str, set[str]] = {}
        self._retried: dict[str, set[str]] = defaultdict(set)
        self._address, self._web = address, web
        self._seed, self._pause, self._timeout = seed, pause, timeout
        self._stop = asyncio.Event()

    @property
    def published(self) -> list[Wanted]:
        """Events."""
        return _wanted(self._published)

    @property
    def delivered(self) -> list[Wanted]:
        """Webhooks."""
        return _wanted(self._delivered)

    @property
    def retried(self) -> list[Wanted]:
        """Retries."""
        return _wanted(self._retried)

    def stop(self) -> None:
        """Has every caller finish what it is at."""
        self._stop.set()

    async def run(self) -> None:
        """Calls until it is stopped."""
        kinds = (self._work, self._work, self._signal, self._signal, self._publish, self._retry, self._cancel)
        async with (
            Client(self._address, timeout=self._timeout, retry=PATIENT) as client,
            httpx.AsyncClient(trust_env=False, timeout=self._timeout) as web,
            asyncio.TaskGroup() as group,
        ):
            for number, kind in enumerate(kinds):
                group.create_task(self._repeat(f"{self._seed}/{number}", partial(kind, client)))
            group.create_task(self._repeat(f"{self._seed}/hook", lambda dice: self._deliver(web, dice)))
            group.create_task(self._commands(client))

    async def _repeat(self, seed: str, call: Callable[[random.Random], Awaitable[None]]) -> None:
        dice = random.Random(seed)
        while not self._stop.is_set():
            await call(dice)
            await asyncio.sleep(self._pause * dice.random() * 2)

    async def _until_known(self, what: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """Repeats a call whose outcome is not known; None if it was refused, which is a fault where nobody says so."""
        while True:
            begin = time.monotonic()
            try:
                answer = await call()
            except LOST:
                await asyncio.sleep(0.05)
                continue
            except FailedPrecondition:
                self.calls[f"{what}, refused"] += 1
                return None
            except NightcrewClientError as error:
                self.faults.append(f"{what}: {type(error).__name__}: {error}")
                return None
            self.seconds.append(time.monotonic() - begin)
            self.calls[what] += 1
            return answer

    async def _trigger(self, client: Client, agent_id: str) -> str:
        request = str(uuid.uuid4())
        made = await self._until_known(
            f"trigger {agent_id}", lambda: client.agents.trigger(agent_id, request_id=request)
        )
        return made.id if made is not None else ""

    async def _work(self, client: Client, dice: random.Random) -> None:
        if found := await self._trigger(client, dice.choice(DURABLE)):
            self.durable.append(found)

    async def _signal(self, client: Client, dice: random.Random) -> None:
        """One that asks is answered as often as it asks, by numbers that are all different."""
        execution_id = await self._trigger(client, "asker")
        sent: list[object] = []
        for number in range(SIGNALS):
            await asyncio.sleep(dice.choice([0.0, 0.0, 0.3]))
            payload, request = {"n": number, "mark": dice.getrandbits(40)}, str(uuid.uuid4())
            answer = await self._until_known(
                "signal",
                partial(client.executions.signal, execution_id, "go", payload, request_id=request),
            )
            if answer is None:
                self.faults.append(f"a signal to {execution_id or 'nothing'} was refused after {sent}")
                return
            sent.append(payload)
        self.signalled.append(Signalled(execution_id=execution_id, payloads=sent))

    async def _publish(self, client: Client, dice: random.Random) -> None:
        names = [f"order-{dice.getrandbits(60)}" for _ in range(dice.choice([1, 1, 5]))]
        for one in names:
            self._published[one] = set()
        events = [NewEvent(type="soak.order", source="/soak", id=one, data={"order": one}) for one in names]
        request = str(uuid.uuid4())
        for _ in range(dice.choice([1, 1, 1, 2])):
            results = await self._until_known(
                "publish", partial(client.events.publish, events, request_id=request)
            )
            for name, result in zip(names, results or (), strict=False):
                self._published[name].add(str(result.sequence))
            request = str(uuid.uuid4())  # sent anew, it is known by the events' ids

    async def _retry(self, client: Client, dice: random.Random) -> None:
        """What failed is tried again; it fails again, as a new execution."""
        del dice
        execution_id = await self._trigger(client, "broken")
        ended = await self._until_known("wait", lambda: client.executions.wait(execution_id))
        if ended is None or ended.state != "STATE_FAILED":
            self.faults.append(f"broken {execution_id} did not fail: {ended}")
            return
        request = str(uuid.uuid4())
        for _ in range(2):
            made = await self._until_known(
                "retry", lambda: client.executions.retry(execution_id, request_id=request)
            )
            if made is not None:
                self._retried[execution_id].add(made.id)

    async def _cancel(self, client: Client, dice: random.Random) -> None:
        """One that waits, or is between steps, is cancelled."""
        execution_id = await self._trigger(client, dice.choice([*DURABLE, "asker", "asker"]))
        await asyncio.sleep(dice.random())
        if await self._until_known("cancel", lambda: client.executions.cancel(execution_id)) is not None:
            self.cancelled.append(execution_id)

    async def _deliver(self, web: httpx.AsyncClient, dice: random.Random) -> None:
        name = f"delivery-{dice.getrandbits(60)}"
        answers = self._delivered[name] = set()
        for _ in range(dice.choice([1, 1, 2])):
            while True:
                begin = time.monotonic()
                try:
                    answer = await web.post(
                        f"http://{self._web}/hooks/hook/hook",
                        json={"delivery": name},
                        headers={"idempotency-key": name},
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == httpx.codes.ACCEPTED:
                    break
                if answer.status_code not in {429, 500, 503}:
                    self.faults.append(f"delivery: {answer.status_code} {answer.text}")
                    return
                self.calls[f"deliver, answered {answer.status_code}"] += 1
                await asyncio.sleep(0.1)
            answers.add(answer.json()["execution_id"])
            self.calls["deliver"] += 1
            self.seconds.append(time.monotonic() - begin)

    async def _commands(self, client: Client) -> None:
        """Commands fall on an agent that works; it is left in the state of the last."""
        dice = random.Random(f"{self._seed}/commands")
        while not self._stop.is_set():
            for verb, state in COMMANDS:
                for _ in range(3):
                    await self._trigger(client, "victim")
                await asyncio.sleep(self._pause + 0.5 * dice.random())
                request = str(uuid.uuid4())
                call = partial(getattr(client.agents, verb), "victim", request_id=request)
                if await self._until_known(verb, call) is None:
                    # STOPPING for a while: what was cancelled has its grace.
                    await asyncio.sleep(0.2)
                    break
                self.commanded["victim"] = state
                if verb == "stop":
                    await self._stopped(client)
            else:
                continue

    async def _stopped(self, client: Client) -> None:
        while True:
            found = await self._until_known("look", lambda: client.agents.get("victim"))
            if found is not None and found.state == "STATE_STOPPED":
                return
            await asyncio.sleep(0.1)


def _wanted(found: dict[str, set[str]]) -> list[Wanted]:
    return [Wanted(id=one, answers=frozenset(answers)) for one, answers in found.items()]
