"""ProcessHost: sync programs, flows and whatever else must not share the runtime's process."""

import asyncio
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psutil
import structlog

from nightcrew.domain.errors import Unavailable
from nightcrew.domain.execution import ExecutionError, TriggerKind
from nightcrew.domain.spec.program import Isolation
from nightcrew.hosts.process.link import Ticket, WorkerLink
from nightcrew.hosts.process.pool import RUNS_PER_WORKER, Pool
from nightcrew.ports.host import Desk, Job, LogSink, NotLoaded, Outcome

MIB: Final = 1024 * 1024
RESIDENTS_PER_WORKER: Final = 1000
_WATCH_INTERVAL: Final = 0.2

_NO_LFX: Final = ExecutionError(
    type="program_load",
    message="flows need lfx, which is not installed: pip install 'nightcrew[langflow]'",
    retryable=False,
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """How worker processes are kept.

    Attributes:
        workers: Workers of the pool, at most; 0 is one for each CPU. Flows have a pool of as many.
        runs_per_worker: Runs at once in one worker.
        memory_limit: Bytes of resident memory; a worker above it is killed.
        idle_timeout: Seconds after which a worker without work is ended.
        log_level: For the workers' own logs.
    """

    workers: int = 0
    runs_per_worker: int = RUNS_PER_WORKER
    memory_limit: int = 2048 * MIB
    idle_timeout: float = 300.0
    log_level: str = "info"

    @property
    def size(self) -> int:
        """`workers`, its default resolved."""
        return self.workers or max(1, os.cpu_count() or 1)


class ProcessHost:
    """Runs jobs in worker processes (ports.host.Host); `serve` is its life, as a supervisor's child.

    POOL jobs share a few workers, flows have a pool of their own (lfx takes 190 MB and 2 s), DEDICATED
    agents have one worker each, and a job with `own_worker` gets a fresh one.
    """

    def __init__(self, settings: ProcessSettings | None = None) -> None:
        self._settings = settings or ProcessSettings()
        self._pools: dict[str, Pool] = {}
        self._tickets: dict[tuple[str, int], tuple[Ticket, Pool]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._own = 0
        self._has_lfx = importlib.util.find_spec("lfx") is not None

    @property
    def workers(self) -> list[WorkerLink]:
        """The workers there are."""
        return [link for pool in self._pools.values() for link in pool.links]

    async def serve(self, ready: Callable[[], None]) -> None:
        """Watches the workers until it is cancelled, then ends them all."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                try:
                    ready()
                    while True:
                        await asyncio.sleep(_WATCH_INTERVAL)
                        self._look_after()
                finally:
                    await self._close()
        finally:
            self._tasks = None

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt to its end. If the awaiting task is cancelled the job is killed.

        Raises:
            Unavailable: The host is not served.
        """
        if self._tasks is None:
            raise Unavailable("worker processes can't be started: their host does not run")
        if job.source.kind == "langflow" and not self._has_lfx:
            return NotLoaded(_NO_LFX)
        ticket = Ticket(job, sink, desk, asyncio.get_running_loop().create_future())
        pool = self._pool_of(job)
        key = (job.execution_id, job.lease)
        self._tickets[key] = (ticket, pool)
        pool.submit(ticket)
        try:
            return await ticket.outcome
        except asyncio.CancelledError:
            pool.kill(ticket)
            raise
        finally:
            del self._tickets[key]

    def arrived(self, execution_id: str, lease: int) -> None:
        """Has the job look at what it waits for."""
        known = self._tickets.get((execution_id, lease))
        if known is not None and known[0].link is not None:
            known[0].link.arrived(known[0])

    def cancel(self, execution_id: str, lease: int) -> None:
        """Raises CancelledError into the job."""
        known = self._tickets.get((execution_id, lease))
        if known is not None:
            ticket, pool = known
            pool.cancel(ticket)

    def kill(self, execution_id: str, lease: int) -> None:
        """Kills the worker that the job runs in; its other runs end as worker_lost."""
        known = self._tickets.get((execution_id, lease))
        if known is not None:
            ticket, pool = known
            pool.kill(ticket)

    def _pool_of(self, job: Job) -> Pool:
        flows = job.source.kind == "langflow"
        if job.own_worker:
            self._own += 1
            return self._pool(f"own-{self._own}", size=1, flows=flows)
        if job.isolation is Isolation.DEDICATED:
            return self._pool(f"agent-{job.agent_id}", size=1, flows=flows)
        if job.trigger.kind is TriggerKind.RESIDENT:
            # They never end: in the pool they would take the places of what does.
            return self._pool("residents", size=self._settings.size, flows=flows, runs=RESIDENTS_PER_WORKER)
        return self._pool("flows" if flows else "pool", size=self._settings.size, flows=flows)

    def _pool(self, name: str, *, size: int, flows: bool, runs: int = 0) -> Pool:
        # An agent may change from a function to a flow: its worker must fit.
        key = f"{name}/flows" if flows else name
        known = self._pools.get(key)
        if known is None:
            known = self._pools[key] = Pool(
                name,
                size=size,
                flows=flows,
                spawn=self._spawn,
                runs_per_worker=runs or self._settings.runs_per_worker,
                log_level=self._settings.log_level,
            )
        return known

    def _spawn(self, work: Any) -> None:
        if self._tasks is None:
            work.close()
            raise Unavailable("worker processes can't be started: their host does not run")
        self._tasks.create_task(_guarded(work))

    def _look_after(self) -> None:
        """Kills workers that took too much memory, ends idle ones, forgets pools that are empty."""
        now = asyncio.get_running_loop().time()
        for link in self.workers:
            if link.load:
                self._weigh(link)
        for key, pool in list(self._pools.items()):
            own = pool.name.startswith("own-")
            pool.end_idle(before=now if own else now - self._settings.idle_timeout)
            if not pool.links and not pool.busy and (own or pool.used < now - self._settings.idle_timeout):
                del self._pools[key]

    def _weigh(self, link: WorkerLink) -> None:
        try:
            used = psutil.Process(link.pid).memory_info().rss
        except psutil.Error:
            return  # it has ended: its watcher tells
        if used > self._settings.memory_limit:
            limit = self._settings.memory_limit
            link.kill(f"it used {used // MIB} MiB of memory; a worker may use {limit // MIB} MiB")

    async def _close(self) -> None:
        for pool in list(self._pools.values()):
            await pool.close("the runtime ends")
        self._pools.clear()


async def _guarded(work: Any) -> None:
    """A fault in looking after one worker must not end the others."""
    try:
        await work
    except Exception:  # noqa: BLE001 - it is logged, with its traceback
        _log.exception("looking after a worker failed")
