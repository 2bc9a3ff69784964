"""The restarter: begins residents anew after their back-off, and takes agents past their intensity to ERROR."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import After, Commits, Ended
from nightcrew.crew.faults import fail_agent
from nightcrew.crew.residents import start_resident
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.restart import GiveUp, RestartAfter, decide, resolve
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

BATCH: Final = 100
"""Residents begun in one transaction: a thousand that crash at once hold nobody up for long."""
STORE_RETRY: Final = 1.0
INTENSITY: Final = "restart_intensity"

log = structlog.get_logger(__name__)


class Restarter:
    """Holds each resident's recent restarts and back-off, by the monotonic clock; what is wanted is in the store.

    Args:
        commits: The way to the store.
        bus: Tells which residents have ended.
        clock: For back-offs and waits.
        patience: Seconds after which it looks for residents that are wanted and that nobody began.
    """

    def __init__(self, *, commits: Commits, bus: Bus, clock: Clock, patience: float = PATIENCE) -> None:
        self._commits = commits
        self._bus = bus
        self._clock = clock
        self._patience = patience
        self._histories: dict[str, tuple[float, ...]] = {}
        self._restarts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        """Agent → the monotonic time at which its resident begins anew."""
        self._anew: set[str] = set()
        """Those of them that are no restarts."""
        self._given_up: set[str] = set()

    def restarts(self, agent_id: str) -> int:
        """How often the agent's resident was restarted since the runtime started."""
        return self._restarts.get(agent_id, 0)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Begins what is wanted at once, then restarts what ends, until it is cancelled."""
        self._take_notes()  # what has ended already rests before it begins anew
        await self._begin_missing()
        ready()
        sweep = self._clock.monotonic() + self._patience
        while True:
            version = self._bus.residents.version
            self._take_notes()
            try:
                await self._give_up()
                await self._restart_due()
                if self._clock.monotonic() >= sweep:
                    await self._begin_missing()
                    sweep = self._clock.monotonic() + self._patience
            except NightcrewError as error:
                log.warning("restarts wait: the store failed", error=error.message)
                await self._clock.sleep(STORE_RETRY)
                continue
            wake = min(sweep, min(self._due.values(), default=sweep))
            await wait_for_poke(self._clock, self._bus.residents, version, wake - self._clock.monotonic())

    def _take_notes(self) -> None:
        for ended in self._bus.residents.take():
            self._note(ended)

    def _note(self, ended: Ended) -> None:
        """Decides what follows one end; in memory only."""
        agent_id = ended.agent_id
        now = self._clock.monotonic()
        if ended.policy is None:
            self._histories.pop(agent_id, None)
            self._given_up.discard(agent_id)
            self._due[agent_id] = now
            self._anew.add(agent_id)
            return
        self._anew.discard(agent_id)
        match decide(self._histories.get(agent_id, ()), now, resolve(ended.policy)):
            case GiveUp(restarts):
                log.error("a resident ended too often", agent_id=agent_id, restarts=restarts)
                self._histories.pop(agent_id, None)
                self._given_up.add(agent_id)
            case RestartAfter(delay, history):
                log.warning("a resident has ended", agent_id=agent_id, restart_in_s=delay)
                self._histories[agent_id] = history
                self._due[agent_id] = now + delay

    async def _give_up(self) -> None:
        for agent_id in sorted(self._given_up):
            now = self._clock.now()
            await self._commits.run(
                lambda tx, after: fail_agent(tx, after, agent_id, reason=INTENSITY, now=now)  # noqa: B023 - run before the loop goes round
            )
            self._given_up.discard(agent_id)

    async def _restart_due(self) -> None:
        moment = self._clock.monotonic()
        due = sorted(agent_id for agent_id, at in self._due.items() if at <= moment)
        for at in range(0, len(due), BATCH):
            batch = due[at : at + BATCH]
            begun = await self._begin(batch)
            for agent_id in begun:
                if agent_id not in self._anew:
                    self._restarts[agent_id] = self.restarts(agent_id) + 1
            for agent_id in batch:
                del self._due[agent_id]
                self._anew.discard(agent_id)

    async def _begin_missing(self) -> None:
        """Begins every resident that is wanted and neither runs nor rests: after a start, or a lost wake-up."""
        last = ""
        while True:
            start = last
            found = await self._commits.run(
                lambda tx, _after: tx.residents.missing(after=start, limit=BATCH)  # noqa: B023 - run before the loop goes round
            )
            if not found:
                return
            last = found[-1]
            await self._begin([one for one in found if one not in self._due and one not in self._given_up])

    async def _begin(self, agent_ids: Sequence[str]) -> list[str]:
        """Begins residents that are still wanted; returns whose."""
        now = self._clock.now()
        restarts = self._due.keys() - self._anew
        counts = {one: self.restarts(one) + 1 if one in restarts else 0 for one in agent_ids}

        def unit(tx: Transaction, after: After) -> list[str]:
            return [one for one, count in counts.items() if _start(tx, after, one, restarts=count, now=now)]

        return await self._commits.run(unit) if agent_ids else []


def _start(tx: Transaction, after: After, agent_id: str, *, restarts: int, now: datetime) -> bool:
    agent = tx.agents.get(agent_id)
    return agent is not None and start_resident(tx, after, agent, restarts=restarts, now=now) is not None
