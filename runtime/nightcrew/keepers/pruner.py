"""Forgets what is no longer kept: logs and events, executions, the ledger, and notes of what was asked before."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.backfill import LEDGER_KEPT
from nightcrew.domain.cloudevent import KNOWN_FOR
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.spec.retention import SHORTEST, RetentionSpec
from nightcrew.keepers.delivering import drop_part
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.deliveries import KEPT as DEAD_KEPT
from nightcrew.services.once import KEPT
from nightcrew.services.webhooks import KEPT as DELIVERIES_KEPT

EVERY: Final = 600.0
BATCH: Final = 500
"""Rows that one transaction deletes; of executions, which stand in ten indexes, a part of that."""
EXECUTIONS: Final = 100
PAUSE: Final = 0.005
"""Seconds between full batches: whoever works comes first."""

ALWAYS_KEPT: Final = SHORTEST
"""However many there are, an execution that has just ended can be looked at."""
WAITED: Final = "waited for room in its agent's backlog for as long as events are kept"
_AGENTS: Final = 200

log = structlog.get_logger(__name__)


class Pruner:
    """Deletes in batches, the oldest first, so that no transaction is long and nobody waits for it.

    Args:
        commits: The way to the store.
        reads: Finds agents with more executions than are kept, beside the writer.
        clock: For waits and ages.
        kept: How long things are kept.
        patience: Seconds that it sleeps at least, if that is longer than ten minutes.
    """

    def __init__(
        self,
        *,
        commits: Commits,
        reads: Reads,
        clock: Clock,
        kept: RetentionSpec | None = None,
        patience: float = 0.0,
    ) -> None:
        self._kept = kept or RetentionSpec()
        self._commits = commits
        self._reads = reads
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
        """Deletes all that is too old now; returns how many rows that were."""
        now = self._clock.now()
        total = await self._batches(lambda tx, n: tx.requests.forget(before=now - KEPT, limit=n))
        total += await self._batches(lambda tx, n: tx.hooks.forget(before=now - DELIVERIES_KEPT, limit=n))
        total += await self._batches(lambda tx, n: tx.signal_urls.forget(before=now - KEPT, limit=n))
        total += await self._batches(lambda tx, n: tx.outbound.forget(before=now - DEAD_KEPT, limit=n))
        total += await self._batches(lambda tx, n: tx.events.forget(before=now - KNOWN_FOR, limit=n))
        total += await self._batches(
            lambda tx, n: tx.retention.forget_fires(before=now - LEDGER_KEPT, limit=n)
        )
        total += await self._prune_logs(now)
        total += await self._prune_executions(now)
        if total:
            log.debug("pruned", rows=total)
        return total

    async def _prune_logs(self, now: datetime) -> int:
        """Events and logs are found by a mark that was made when they were new."""
        mark = await self._commits.run(lambda tx, _after: tx.retention.marked(now - self._kept.events))
        total = 0
        if mark is not None:
            while await self._commits.run(
                lambda tx, after: _drop_lags(tx, after, until=mark.event_sequence, now=now)
            ):
                await self._clock.sleep(PAUSE)
            total += await self._batches(
                lambda tx, n: tx.retention.forget_events(until=mark.event_sequence, limit=n)
            )
            total += await self._batches(
                lambda tx, n: tx.retention.forget_logs(until=mark.log_sequence, limit=n)
            )
            await self._commits.run(lambda tx, _after: tx.retention.forget_marks(before=mark.time))
        await self._commits.run(lambda tx, _after: tx.retention.mark(now))
        return total

    async def _prune_executions(self, now: datetime) -> int:
        total, last = 0, ""
        while found := await self._reads.ended(
            after=last, keep=self._kept.executions_per_agent, limit=_AGENTS
        ):
            for one in found:
                before = now - self._kept.executions
                if one.kept_since is not None:
                    before = max(before, one.kept_since)
                before = min(before, now - ALWAYS_KEPT)
                if one.oldest < before:
                    total += await self._batches(_executions(one.agent_id, before), size=EXECUTIONS)
            last = found[-1].agent_id
        return total

    async def _batches(self, forget: Callable[[Transaction, int], int], *, size: int = BATCH) -> int:
        total = 0
        while True:
            count = await self._commits.run(lambda tx, _after: forget(tx, size))
            total += count
            if count < size:
                return total
            await self._clock.sleep(PAUSE)


def _executions(agent_id: str, before: datetime) -> Callable[[Transaction, int], int]:
    return lambda tx, n: tx.retention.forget_executions(agent_id, before=before, limit=n)


def _drop_lags(tx: Transaction, after: After, *, until: int, now: datetime) -> bool:
    """Tells in the ledger what a lagging trigger will never be given; returns whether there is more to tell."""
    for lag in tx.lags.behind(until):
        drop_part(tx, after, lag, reason=lag.reason or WAITED, now=now, until=until)
        return True
    return False
