"""Lets waiting agents into their pools when a rate gives the next start; what a run frees is given at its end."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.gates import check_pools, next_free, serve_lines
from nightcrew.domain.durations import from_micros
from nightcrew.domain.errors import NightcrewError
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction

BATCH: Final = 500
STORE_RETRY: Final = 1.0

log = structlog.get_logger(__name__)


class Turnstile:
    """One timer for all pools: the nearest moment at which a rate that agents wait for lets one in."""

    def __init__(
        self, *, commits: Commits, reads: Reads, bus: Bus, clock: Clock, patience: float = PATIENCE
    ) -> None:
        self._commits = commits
        self._reads = reads
        self._bus = bus
        self._clock = clock
        self._patience = patience

    async def serve(self, ready: Callable[[], None]) -> None:
        """Looks for pools that are gone or back, then lets agents in until it is cancelled."""
        await self._begin()
        ready()
        while True:
            version = self._bus.gates.version
            try:
                wait = await self._turn()
            except NightcrewError as error:
                log.warning("pools wait: the store failed", error=error.message)
                wait = STORE_RETRY
            await wait_for_poke(self._clock, self._bus.gates, version, wait)

    async def _begin(self) -> None:
        names = await self._reads.agents_with_pools()
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> None:
            tx.pools.tidy()
            tx.keys.tidy()
            for agent_id in names:
                check_pools(tx, after, agent_id, now=now)

        await self._commits.run(unit)

    async def _turn(self) -> float:
        """Lets in who may; returns the seconds until the next may."""
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> datetime | None:
            lines = tx.pools.lines()
            if not lines or not after.claiming:
                return None
            serve_lines(tx, after, lines, now=now)
            after.gates = False  # it is told below
            moments = [next_free(tx, after, name, now=now) for name in tx.pools.lines()]
            return min((from_micros(one) for one in moments if one is not None), default=None)

        following = await self._commits.run(unit)
        if following is None:
            return self._patience
        return min(max((following - self._clock.now()).total_seconds(), 0.0), self._patience)
