"""Forgets what is no longer kept: answers by request id, webhooks' deliveries, and what outbound hooks gave up."""

from collections.abc import Callable
from typing import Final

import structlog

from nightcrew.crew.commits import Commits
from nightcrew.domain.errors import NightcrewError
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction
from nightcrew.services.deliveries import KEPT as DEAD_KEPT
from nightcrew.services.once import KEPT
from nightcrew.services.webhooks import KEPT as DELIVERIES_KEPT

EVERY: Final = 600.0
BATCH: Final = 5000

log = structlog.get_logger(__name__)


class Pruner:
    """Deletes in batches, so that no transaction is long."""

    def __init__(self, *, commits: Commits, clock: Clock, patience: float = 0.0) -> None:
        self._commits = commits
        self._clock = clock
        self._every = max(EVERY, patience)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Prunes every ten minutes (or `patience` seconds, if that is longer) until it is cancelled."""
        ready()
        while True:
            await self._clock.sleep(self._every)
            try:
                await self.prune()
            except NightcrewError as error:
                log.warning("pruning failed", error=error.message)

    async def prune(self) -> int:
        """Deletes answers and deliveries that are too old to count; returns how many."""
        now = self._clock.now()
        return (
            await self._all(lambda tx: tx.requests.forget(before=now - KEPT, limit=BATCH))
            + await self._all(lambda tx: tx.hooks.forget(before=now - DELIVERIES_KEPT, limit=BATCH))
            + await self._all(lambda tx: tx.outbound.forget(before=now - DEAD_KEPT, limit=BATCH))
        )

    async def _all(self, forget: Callable[[Transaction], int]) -> int:
        total = 0
        while True:
            count = await self._commits.run(lambda tx, _after: forget(tx))
            total += count
            if count < BATCH:
                return total
