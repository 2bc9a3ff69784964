"""One run in memory: a claimed attempt, what was asked of it, and the timers that ask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nightcrew.crew.commits import Claimed
from nightcrew.crew.log_writer import RunLog
from nightcrew.domain.execution import Execution, TriggerKind
from nightcrew.domain.lifecycle.execution import CRASH_LOOP_OWN_WORKER
from nightcrew.domain.policies import cancel_grace
from nightcrew.domain.resident import state_refusal
from nightcrew.domain.spec.program import Isolation, Program
from nightcrew.domain.values import decode
from nightcrew.domain.verdict import Asked
from nightcrew.ports.clock import Clock, TimerHandle
from nightcrew.ports.host import Host, Job, ProgramSource


class Run:
    """A run under way: asks its host to end it when people, a limit or a drain want it, and kills after the grace."""

    __slots__ = ("_clock", "_host", "_silence", "_timers", "asked", "claimed", "execution", "grace", "log")

    def __init__(self, claimed: Claimed, *, host: Host, clock: Clock, log: RunLog) -> None:
        self.claimed = claimed
        self.execution: Execution = claimed.execution
        self.asked = Asked.NOTHING
        self.log = log
        self._host = host
        self._clock = clock
        self.grace = cancel_grace(claimed.agent.spec.execution)
        self._timers: list[TimerHandle] = []
        self._silence: TimerHandle | None = None
        if self.execution.resume:
            self.asked = Asked.CANCEL  # it was cancelled while it did not run, and runs once more for that

    @property
    def resident(self) -> bool:
        """Whether it runs as long as its agent is ACTIVE."""
        return self.execution.trigger.kind is TriggerKind.RESIDENT

    def arm(self, now: datetime) -> None:
        """Sets the timers of the attempt's own limit and of the execution's deadline."""
        timeout = self.claimed.agent.spec.execution.timeout
        if timeout is not None and not self.resident:
            self._later(timeout.total_seconds(), Asked.TIME_OUT)
        if self.execution.deadline is not None:
            self._later((self.execution.deadline - now).total_seconds(), Asked.DEADLINE)
        if self.execution.resume:
            self._timers.append(self._clock.call_later(self.grace, self.kill))
        self.beat()

    def beat(self) -> None:
        """Takes a sign of life: the next has to come within `heartbeat_timeout`."""
        limit = self.claimed.agent.spec.execution.heartbeat_timeout
        if limit is None:
            return
        if self._silence is not None:
            self._silence.cancel()
        seconds = limit.total_seconds()
        self._silence = self._clock.call_later(seconds, lambda: self.ask(Asked.SILENT))

    def ask(self, asked: Asked, *, grace: float | None = None) -> None:
        """Asks the body to end; the first to ask names the reason, save that people's cancel outranks a drain."""
        if self.asked is not Asked.NOTHING and not (self.asked is Asked.DRAIN and asked is Asked.CANCEL):
            return
        self.asked = asked
        self._host.cancel(self.execution.id, self.execution.lease)
        seconds = self.grace if grace is None else grace
        self._timers.append(self._clock.call_later(seconds, self.kill))

    def end(self) -> None:
        """Asks the body to end and gives it no grace."""
        self.ask(Asked.CANCEL)
        # A turn later, or the two were one cancel to a task.
        self._timers.append(self._clock.call_later(0.0, self.kill))

    def kill(self) -> None:
        """Ends the body by force."""
        self._host.kill(self.execution.id, self.execution.lease)

    def disarm(self) -> None:
        """Calls every timer off: the body has ended."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._silence is not None:
            self._silence.cancel()

    def job(
        self, source: ProgramSource, isolation: Isolation, program: Program, hidden: Sequence[str] = ()
    ) -> Job:
        """What the host needs to run it; the program is the agent's with its secrets in place."""
        execution, agent = self.execution, self.claimed.agent
        refusal = state_refusal(agent, execution.trigger.kind)
        return Job(
            execution_id=execution.id,
            lease=execution.lease,
            agent_id=agent.id,
            attempt=execution.attempt,
            program=program,
            source=source,
            input=_object(execution.input),
            isolation=isolation,
            trigger=execution.trigger,
            labels=dict(execution.labels),
            memory=None if refusal else _object(self.claimed.memory or "{}"),
            memory_refusal=refusal,
            cancel_grace=self.grace,
            hidden=tuple(hidden),
            journal=self.claimed.journal,
            cancelling=execution.resume,
            own_worker=execution.unclean >= CRASH_LOOP_OWN_WORKER,
        )

    def _later(self, seconds: float, asked: Asked) -> None:
        self._timers.append(self._clock.call_later(seconds, lambda: self.ask(asked)))


def _object(text: str) -> dict[str, Any]:
    value: dict[str, Any] = {} if text == "{}" else decode(text)
    return value
