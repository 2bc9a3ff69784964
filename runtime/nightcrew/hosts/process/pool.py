"""A group of worker processes: started when there is work, filled evenly, replaced when they die."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from nightcrew.hosts.process.link import DRAINED, WORKER_LOST, Spawn, Ticket, WorkerFailed, WorkerLink
from nightcrew.ports.host import Cancelled, Interrupted

RUNS_PER_WORKER: Final = 100
FIRST_BACKOFF: Final = 0.5
MAX_BACKOFF: Final = 30.0
_AT_LEAST: Final = 4
"""Runs that a ready worker takes while another one still starts: a few are not worth the wait."""

_log = structlog.get_logger(__name__)


class Pool:
    """Workers of one kind.

    Args:
        name: Workers are `name-1`, `name-2` and so on.
        size: Workers at most; those with a run that does not heed its cancel are replaced beyond it.
        flows: Whether they load lfx.
        spawn: Runs coroutines in the host's task group.
        runs_per_worker: Runs at once in one worker; the rest wait in order.
        log_level: For the workers' own logs.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        flows: bool,
        spawn: Spawn,
        runs_per_worker: int = RUNS_PER_WORKER,
        log_level: str = "info",
    ) -> None:
        self.name = name
        self.links: list[WorkerLink] = []
        self._size = size
        self._spawn = spawn
        self._limit = runs_per_worker
        self._make: Callable[[str], WorkerLink] = lambda name: WorkerLink(
            name, flows=flows, spawn=spawn, freed=self._freed, log_level=log_level
        )
        self._waiting: deque[Ticket] = deque()
        self._started = 0
        self._failures = 0
        self._resting = False
        self._closed = False
        self.used = 0.0

    @property
    def busy(self) -> bool:
        """Whether anything runs, waits or starts."""
        return bool(self._waiting) or any(one.load or not one.ready for one in self.links)

    def submit(self, ticket: Ticket) -> None:
        """Takes a job; it is placed now or when there is room."""
        self._waiting.append(ticket)
        self._place()

    def cancel(self, ticket: Ticket) -> None:
        """Asks a job to end: one that waits has ended at once."""
        if ticket.link is not None:
            ticket.link.cancel(ticket)
        else:
            self._leave(ticket)
            ticket.end(Cancelled())

    def kill(self, ticket: Ticket) -> None:
        """Ends a job by force: its worker dies, and with it the other runs in it."""
        ticket.killed = True
        if ticket.link is not None:
            ticket.link.kill(f"execution {ticket.job.execution_id} had to be killed")
        else:
            self._leave(ticket)
            ticket.end(Interrupted("killed"))

    def end_idle(self, *, before: float) -> None:
        """Ends workers that have had nothing to do since before this time of the loop."""
        for link in self.links:
            if link.ready and not link.load and link.idle_since < before:
                link.kill("it was idle")

    async def close(self, why: str) -> None:
        """Ends every worker, and waits until they are gone; its jobs are interrupted by a drain."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().end(Interrupted(DRAINED, why))
        links = list(self.links)
        for link in links:
            link.kill(why, reason=DRAINED)
        for link in links:
            await link.ended()

    def _leave(self, ticket: Ticket) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)

    def _place(self) -> None:
        """Gives waiting jobs to workers, and starts workers for those that are left."""
        # A job whose outcome is set already (its awaiting task was cancelled) is not started.
        while self._waiting:
            link = self._best()
            if link is None:
                break
            ticket = self._waiting.popleft()
            if not ticket.outcome.done():
                link.run(ticket)
        self._grow()
        self.used = asyncio.get_running_loop().time()

    def _best(self) -> WorkerLink | None:
        """The least loaded worker that has room, or None."""
        alive = [one for one in self.links if not one.retiring and not one.stuck]
        open_ones = [one for one in alive if one.ready]
        if not open_ones:
            return None
        room = self._limit
        if len(open_ones) < len(alive):
            # Others are about to be ready: keep their fair share for them.
            total = len(self._waiting) + sum(one.load for one in alive)
            room = min(room, max(_AT_LEAST, -(-total // len(alive))))
        best = min(open_ones, key=lambda one: one.load)
        return best if best.load < room else None

    def _grow(self) -> None:
        if self._resting or self._closed:
            return
        alive = [one for one in self.links if not one.retiring and not one.stuck]
        wanted = min(self._size, len(self._waiting) + sum(one.load for one in alive))
        for _ in range(wanted - len(alive)):
            self._started += 1
            link = self._make(f"{self.name}-{self._started}")
            self.links.append(link)
            self._spawn(self._bring_up(link))

    async def _bring_up(self, link: WorkerLink) -> None:
        try:
            await link.start()
        except WorkerFailed as error:
            if not self._closed:
                self._rest(str(error))
        else:
            self._failures = 0
            self._place()

    def _rest(self, message: str) -> None:
        """A worker did not come up: the next start waits, longer each time."""
        self._failures += 1
        delay = min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** (self._failures - 1))
        _log.error(
            "no worker came up", pool=self.name, failures=self._failures, next_try_s=delay, why=message
        )
        if not any(one.ready or not one.dead for one in self.links):
            # They are requeued, and counted: an execution does not wait for ever for what can't start.
            while self._waiting:
                self._waiting.popleft().end(Interrupted(WORKER_LOST, message))
        if not self._resting:
            self._resting = True
            asyncio.get_running_loop().call_later(delay, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if not self._closed:
            self._place()

    def _freed(self, link: WorkerLink) -> None:
        if link.dead and link in self.links:
            self.links.remove(link)
        if not self._closed:
            self._place()
