"""The backfiller: feeds every running backfill whenever places may have become free, and after a restart."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from nightcrew.crew.backfills import end_backfill
from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import After, Commits
from nightcrew.domain.backfill import BackfillEvent
from nightcrew.domain.errors import NightcrewError, Unavailable
from nightcrew.keepers.backfilling import take_turn
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.store import Transaction

STORE_RETRY: Final = 1.0

log = structlog.get_logger(__name__)


class Backfiller:
    """Gives running backfills their turns. Where one has got stands in its row; nothing of it is kept here."""

    def __init__(
        self, *, commits: Commits, bus: Bus, clock: Clock, ids: Ids, patience: float = PATIENCE
    ) -> None:
        self._commits = commits
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._patience = patience

    async def serve(self, ready: Callable[[], None]) -> None:
        """Feeds until it is cancelled."""
        ready()
        while True:
            # Places become free all the time; whoever has nothing to feed must not wake for it.
            begun, freed = self._bus.backfills.version, self._bus.places.version
            try:
                running = await self._commits.run(
                    lambda tx, _after: [one.id for one in tx.backfills.running()]
                )
                again = [await self._feed(one) for one in running]
                wait = 0.0 if any(again) else self._patience
            except Unavailable as error:
                log.warning("backfills wait: the store failed", error=error.message)
                await self._clock.sleep(STORE_RETRY)
                continue
            if running and wait:
                await wait_for_poke(self._clock, self._bus.places, freed, wait)
            else:
                await wait_for_poke(self._clock, self._bus.backfills, begun, wait)
            await asyncio.sleep(0)

    async def _feed(self, backfill_id: str) -> bool:
        """One turn; a backfill that cannot go on fails, and the others go on."""
        now = self._clock.now()
        try:
            return await self._commits.run(
                lambda tx, after: take_turn(tx, after, backfill_id, now=now, new_id=self._ids.uuid7)
            )
        except Unavailable:
            raise
        except Exception as error:
            log.exception("a backfill can't go on", backfill_id=backfill_id)
            await self._fail(backfill_id, error.message if isinstance(error, NightcrewError) else repr(error))
            return False

    async def _fail(self, backfill_id: str, reason: str) -> None:
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> None:
            backfill = tx.backfills.get(backfill_id)
            if backfill is not None:
                end_backfill(tx, after, backfill, BackfillEvent.FAIL, now=now, reason=reason)

        await self._commits.run(unit)
