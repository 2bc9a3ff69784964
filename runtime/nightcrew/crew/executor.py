"""The executor: one straight pipe for each run, from the claimed row to the written outcome.

claimed → find the program → arm the limits → run it on its host → decide the verdict → settle (one
transaction, which claims the agent's next run).
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import structlog

from nightcrew.crew.claims import NOTHING, Claim
from nightcrew.crew.commits import After, Claimed, Commits
from nightcrew.crew.desk import RunDesk
from nightcrew.crew.log_writer import LogWriter
from nightcrew.crew.registry import Registry
from nightcrew.crew.run import Run
from nightcrew.crew.settle import Settled, settle
from nightcrew.domain.errors import InvalidArgument, SecretUnavailable, Unavailable
from nightcrew.domain.execution import ExecutionError, TriggerKind
from nightcrew.domain.lifecycle.execution import ExecutionEvent
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.policies import NO_RETRY, retry_policy
from nightcrew.domain.resident import resident_verdict
from nightcrew.domain.secrets import resolved_program
from nightcrew.domain.spec.program import Isolation
from nightcrew.domain.verdict import Asked, End, Verdict, decide
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.host import (
    Abandoned,
    Cancelled,
    Continued,
    Failed,
    Host,
    Interrupted,
    NotLoaded,
    Outcome,
    Parked,
    ProgramSource,
    Succeeded,
    Suspended,
)
from nightcrew.ports.secrets import Secrets
from nightcrew.ports.store import Transaction

SETTLE_RETRY: Final = 1.0
"""Seconds between tries to write an outcome while the store fails: the outcome is kept in memory meanwhile."""
DRAIN_GRACE: Final = 2.0
"""Seconds that a program has to end when a drain interrupts it."""
DRAIN_PATIENCE: Final = 10.0
"""Seconds that a drain waits for the outcomes of what it has interrupted: a store may fail in it."""

Ended = Callable[[str, Claim], None]
"""Told the agent and what was claimed in a run's place, when the run's end is on disk."""

log = structlog.get_logger(__name__)


class Placement(Protocol):
    """Where a program runs, resolved from what its author said and what it is."""

    def __call__(self, isolation: Isolation, source: ProgramSource) -> Isolation:
        """INLINE, POOL or DEDICATED.

        Raises:
            InvalidArgument: The program can't run where its author wants it.
        """


class Executor:
    """Runs claimed executions; every run is a task in the executor's own task group."""

    def __init__(
        self,
        *,
        commits: Commits,
        registry: Registry,
        host: Host,
        placement: Placement,
        logs: LogWriter,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._commits = commits
        self._registry = registry
        self._host = host
        self._placement = placement
        self._logs = logs
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._runs: dict[str, Run] = {}
        self._by_agent: dict[str, dict[str, Run]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._quiet = asyncio.Event()
        """Nothing runs, or residents only."""
        self._quiet.set()
        self._passing = 0

    async def serve(self, ready: Callable[[], None]) -> None:
        """Runs until it is cancelled; then every run under way is killed and its task awaited."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            ready()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return len(self._runs)

    @property
    def serving(self) -> bool:
        """Whether runs can be started."""
        return self._group is not None

    def owns(self, execution_id: str, lease: int) -> bool:
        """Whether the run is under way here."""
        run = self._runs.get(execution_id)
        return run is not None and run.execution.lease == lease

    def do(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Runs a piece of the crew's own work in the executor's task group."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(_logged(work), name=name)

    def count(self, agent_id: str) -> int:
        """How many runs of an agent are under way."""
        return len(self._by_agent.get(agent_id, ()))

    def runs_of(self, agent_id: str) -> list[str]:
        """The ids of an agent's runs that are under way."""
        return list(self._by_agent.get(agent_id, ()))

    def start(self, claimed: Claimed, ended: Ended) -> None:
        """Starts a run; `ended` is called when its end is on disk, with what the same transaction claimed."""
        if self._group is None:
            return  # not serving: the row stays RUNNING and the rescuer hands it back
        run = Run(
            claimed,
            host=self._host,
            clock=self._clock,
            log=self._logs.open(claimed.execution.id, claimed.execution.lease),
        )
        self._runs[claimed.execution.id] = run
        self._by_agent.setdefault(claimed.agent.id, {})[claimed.execution.id] = run
        self._idle.clear()
        if not run.resident:
            self._passing += 1
            self._quiet.clear()
        self._group.create_task(self._pipe(run, ended), name=f"run {claimed.execution.id}")

    def ask(self, execution_id: str, asked: Asked, *, grace: float | None = None) -> None:
        """Asks a run to end; one that is not under way here is nobody's concern."""
        run = self._runs.get(execution_id)
        if run is not None:
            run.ask(asked, grace=grace)

    def arrived(self, execution_id: str) -> None:
        """A wait of a run may be over: its program is to look."""
        run = self._runs.get(execution_id)
        if run is not None:
            self._host.arrived(execution_id, run.execution.lease)

    def kill(self, execution_id: str) -> None:
        """Ends a run that bears a cancel mark without a grace."""
        run = self._runs.get(execution_id)
        if run is not None:
            run.end()

    async def drain(self, seconds: float) -> None:
        """Waits up to so many seconds for the runs to end by themselves, then interrupts them.

        Residents never end by themselves: they are asked to as soon as nothing else runs.
        """
        end = self._clock.monotonic() + seconds
        timers = [
            self._clock.call_later(seconds, self._interrupt_all),
            self._clock.call_later(seconds, self._quiet.set),
            self._clock.call_later(seconds + DRAIN_PATIENCE, self._idle.set),
        ]
        try:
            await self._quiet.wait()
            # What ran may have needed them, so they go last; and in the order contrary to that of their starts.
            for run in reversed([one for one in self._runs.values() if one.resident]):
                left = max(end - self._clock.monotonic(), DRAIN_GRACE)
                run.ask(Asked.DRAIN, grace=min(left, run.grace))
            await self._idle.wait()
        finally:
            for timer in timers:
                timer.cancel()

    def _interrupt_all(self) -> None:
        for run in list(self._runs.values()):
            run.ask(Asked.DRAIN, grace=min(DRAIN_GRACE, run.grace))

    async def _pipe(self, run: Run, ended: Ended) -> None:
        claim = NOTHING
        try:
            outcome = await self._outcome(run)
            run.disarm()
            claim = await self._settle(run, outcome)
        except Exception:
            # One run's fault must not end the others: its row stays RUNNING, and the rescuer hands it back.
            log.exception("a run ended without an outcome", execution_id=run.execution.id)
        finally:
            run.disarm()
            self._forget(run)
            ended(run.claimed.agent.id, claim)

    def _forget(self, run: Run) -> None:
        del self._runs[run.execution.id]
        mine = self._by_agent[run.claimed.agent.id]
        del mine[run.execution.id]
        if not mine:
            del self._by_agent[run.claimed.agent.id]
        if not run.resident:
            self._passing -= 1
            if not self._passing:
                self._quiet.set()
        if not self._runs:
            self._idle.set()

    async def _outcome(self, run: Run) -> Outcome:
        spec = run.claimed.agent.spec
        source = self._registry.find(spec.program)
        if source is None:
            why = self._registry.fault(spec.program) or "it was not given to `nightcrew up`"
            message = f"the {spec.program.kind} program {spec.program.name!r} can't be loaded: {why}"
            return NotLoaded(ExecutionError(type="program_load", message=message, retryable=False))
        try:
            isolation = self._placement(spec.isolation, source)
        except InvalidArgument as error:
            return NotLoaded(ExecutionError(type="program_load", message=error.message, retryable=False))
        hidden: list[str] = []

        def named(name: str) -> str:
            hidden.append(self._secrets.named(name))
            return hidden[-1]

        try:
            program = resolved_program(spec.program, named)
        except SecretUnavailable as error:
            return Failed(ExecutionError(type="secret_unavailable", message=error.message))
        if run.asked is not Asked.NOTHING and not run.execution.resume:
            return Cancelled()  # it was asked to end before it began: its host did not know it yet
        run.arm(self._clock.now())
        desk = RunDesk(run.execution, commits=self._commits, clock=self._clock, beat=run.beat, log=run.log)
        return await self._host.run(run.job(source, isolation, program, hidden), run.log, desk)

    def _judged(self, run: Run, outcome: Outcome) -> Verdict:
        end, error = _end(outcome)
        if end is End.NOT_LOADED and run.claimed.journal:
            end = End.PARKED  # a bad deploy must not fail what waits
        resident = run.execution.trigger.kind is TriggerKind.RESIDENT
        verdict = decide(
            run.execution,
            end,
            run.asked,
            error=error,
            policy=NO_RETRY if resident else retry_policy(run.claimed.agent.spec.execution),
            rest=outcome.retry_after if isinstance(outcome, Failed) else 0.0,
            now=self._clock.now(),
            random=self._ids.random(),
        )
        return resident_verdict(verdict) if resident else verdict

    async def _settle(self, run: Run, outcome: Outcome) -> Claim:
        """Writes the outcome, however long the store needs to heal: what happened must not be lost."""
        verdict = self._judged(run, outcome)
        progress = run.log.take_progress()
        while True:
            logs = run.log.take()
            settled = _settled(run, verdict, outcome, logs)
            if progress is not None:
                settled = replace(settled, progress=progress)
            try:
                return await self._write(settled)
            except Unavailable as error:
                run.log.put_back(logs)  # what the log writer had under way may come back before them
                log.warning(
                    "an outcome waits: the store failed",
                    execution_id=run.execution.id,
                    error=error.message,
                )
                await self._clock.sleep(SETTLE_RETRY)
            except Exception as error:
                # Whatever can't be written: that it has ended can be.
                log.exception("an outcome can't be written", execution_id=run.execution.id)
                return await self._write(Settled(run.claimed, _unwritable(error)))

    async def _write(self, settled: Settled) -> Claim:
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Claim:
            return settle(tx, after, settled, now=now)

        return await self._commits.run(unit)


def _settled(run: Run, verdict: Verdict, outcome: Outcome, logs: Sequence[NewLogEntry]) -> Settled:
    match outcome:
        case Succeeded(result, memory):
            return Settled(run.claimed, verdict, result, memory, logs)
        case Continued(given, memory):
            return Settled(run.claimed, verdict, "null", memory, logs, following=given)
        case Suspended(waits):
            return Settled(run.claimed, verdict, logs=logs, waits=waits)
        case _:
            return Settled(run.claimed, verdict, logs=logs)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """A fault in a piece of the crew's own work must not end the runs."""
    try:
        await work
    except Exception:
        log.exception("a piece of work failed")


def _unwritable(error: Exception) -> Verdict:
    why = ExecutionError(
        type="outcome_not_written",
        message=f"the runtime could not write the outcome ({type(error).__name__})",
        retryable=False,
    )
    return Verdict(ExecutionEvent.FAIL, why, counts=True)


def _end(outcome: Outcome) -> tuple[End, ExecutionError | None]:
    match outcome:
        case Succeeded():
            return End.RETURNED, None
        case Failed(error):
            return End.RAISED, error
        case NotLoaded(error):
            return End.NOT_LOADED, error
        case Cancelled():
            return End.CANCELLED, ExecutionError(
                type="CancelledError", message="the program cancelled itself", retryable=True
            )
        case Interrupted(reason, message):
            return End.INTERRUPTED, ExecutionError(type=reason, message=message)
        case Suspended():
            return End.SUSPENDED, None
        case Continued():
            return End.CONTINUED, None
        case Parked(message):
            return End.PARKED, ExecutionError(type="journal_mismatch", message=message)
        case Abandoned(message):
            return End.ABANDONED, ExecutionError(type="unkillable", message=message, retryable=False)
