"""Wakes executions whose time has come: retries, waits that are over, passed deadlines; and herds that events wake."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.cancels import end_idle
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.event_waits import tell_on
from nightcrew.crew.facts import execution_fact
from nightcrew.crew.faults import count_outcome
from nightcrew.crew.waits import wake
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.execution import ExecutionError, ExecutionState
from nightcrew.domain.verdict import TOTAL_TIMEOUT
from nightcrew.keepers.waiting import PATIENCE, wait_for_poke
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction

BATCH: Final = 50
"""How many one transaction wakes. A herd comes back as fast as it is run, not faster: the next are woken when the
writer's line has come to the waker again, so whoever else asks for something stands behind some tens, not thousands."""
STORE_RETRY: Final = 1.0

log = structlog.get_logger(__name__)


class Waker:
    """One timer over the store's index of wake-up times: no memory for each waiting execution."""

    def __init__(self, *, commits: Commits, bus: Bus, clock: Clock, patience: float = PATIENCE) -> None:
        self._commits = commits
        self._bus = bus
        self._clock = clock
        self._patience = patience

    async def serve(self, ready: Callable[[], None]) -> None:
        """Wakes what is due until it is cancelled."""
        ready()
        while True:
            version = self._bus.timers.version
            try:
                wait = await self._wake()
            except NightcrewError as error:
                log.warning("wake-ups wait: the store failed", error=error.message)
                wait = STORE_RETRY
            await wait_for_poke(self._clock, self._bus.timers, version, wait)

    async def _wake(self) -> float:
        """Wakes what is due; returns the seconds until the next, 0 if there is more at once."""
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> tuple[bool, datetime | None]:
            woken = tx.executions.wake_due(now, limit=BATCH)
            for execution in woken:
                after.append(
                    tx, execution_fact(execution, ExecutionState.QUEUED, now=now, reason="its time has come")
                )
                after.work.append(execution.agent_id)
            late = tx.executions.overdue(now, limit=BATCH)
            error = ExecutionError(type=TOTAL_TIMEOUT, message="total_timeout has passed")
            for execution in late:
                end_idle(tx, after, execution, ExecutionState.TIMED_OUT, now=now, error=error)
                agent = tx.agents.get(execution.agent_id)
                if agent is not None and execution.started:  # what never began has not failed
                    count_outcome(tx, after, agent, ExecutionState.TIMED_OUT, now=now)
                after.work.append(execution.agent_id)
            over = tx.executions.waits_over(now, limit=BATCH)
            for execution in over:
                wake(tx, after, execution, now=now, reason="its time has come")
            more = tell_on(tx, after, now=now) or max(len(woken), len(late), len(over)) >= BATCH
            return more, tx.executions.next_wake()

        more, following = await self._commits.run(unit)
        if more:
            return 0.0
        if following is None:
            return self._patience
        return min(max((following - self._clock.now()).total_seconds(), 0.0), self._patience)
