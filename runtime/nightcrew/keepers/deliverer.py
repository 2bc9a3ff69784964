"""The deliverer: gives lagging triggers their events whenever their agents may have room, and after a restart."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import Commits
from nightcrew.domain.errors import Unavailable
from nightcrew.keepers.delivering import take_turn
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock

STORE_RETRY: Final = 1.0

log = structlog.get_logger(__name__)


class Deliverer:
    """Gives agents whose triggers lag their turns. How far a trigger has got stands in the store; nothing is kept here.

    Args:
        commits: The way to the store.
        bus: Tells whose triggers may find room.
        clock: For waits.
        patience: Seconds after which it looks at all of them: pokes are hints, the table is the truth.
    """

    def __init__(self, *, commits: Commits, bus: Bus, clock: Clock, patience: float = PATIENCE) -> None:
        self._commits = commits
        self._bus = bus
        self._clock = clock
        self._patience = patience

    async def serve(self, ready: Callable[[], None]) -> None:
        """Delivers until it is cancelled."""
        ready()
        sweep = self._clock.monotonic()
        while True:
            version = self._bus.lags.version
            try:
                if self._clock.monotonic() >= sweep:
                    self._bus.take_lags()
                    agents = await self._commits.run(lambda tx, _after: tx.lags.agents())
                    sweep = self._clock.monotonic() + self._patience
                else:
                    agents = sorted(self._bus.take_lags())
                for agent_id in agents:
                    await self._deliver(agent_id)
            except Unavailable as error:
                log.warning("lagging triggers wait: the store failed", error=error.message)
                sweep = self._clock.monotonic()
                await self._clock.sleep(STORE_RETRY)
                continue
            # The same sum as above, or a rounding between the two would have it go round without an end.
            await wait_for_poke(self._clock, self._bus.lags, version, sweep - self._clock.monotonic())

    async def _deliver(self, agent_id: str) -> None:
        """All that an agent has room for; an agent that can't go on keeps no other from it."""
        more = True
        while more:
            now = self._clock.now()
            try:
                more = await self._commits.run(
                    lambda tx, after: take_turn(tx, after, agent_id, now=now)  # noqa: B023 - run before the loop goes round
                )
            except Unavailable:
                raise
            except Exception:
                log.exception("the events that wait for an agent can't be given", agent_id=agent_id)
                return
            await asyncio.sleep(0)
