"""One attempt in this process: its recorder, its journal, its context, and how its end becomes an outcome."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nightcrew.agent.base_context import BaseContext, CancelFlag, Memory
from nightcrew.agent.context import Context, SyncContext
from nightcrew.agent.leaving import Continued, Leaving, Lost, Parked
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.values import checked
from nightcrew.hosts.durable import Steps
from nightcrew.ports import host as ends
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Cancelled, Desk, Failed, Job, NotLoaded, Outcome, Succeeded
from nightcrew.programs.errors import HttpError, LoadError
from nightcrew.programs.failure import execution_error
from nightcrew.programs.result import result_text
from nightcrew.system.capture import logger_of
from nightcrew.system.recorder import Recorder

STATE_NOT_JSON = "state_not_json"


class Attempt:
    """A job that runs in this process.

    Args:
        job: What to run.
        clock: For log entries and waits.
        random: In [0, 1).
        emit: Takes each log entry at once; called from any thread, must not block.
        desk: The runtime's side of the journal; for a sync program it blocks.
        sync: Whether the program is sync.
    """

    __slots__ = ("context", "flag", "job", "memory", "recorder", "steps")

    def __init__(
        self,
        job: Job,
        *,
        clock: Clock,
        random: Callable[[], float],
        emit: Callable[[NewLogEntry], None],
        desk: Desk,
        sync: bool = False,
    ) -> None:
        self.job = job
        self.flag = CancelFlag()
        self.memory = Memory(job.memory, job.memory_refusal)
        self.recorder = recorder = Recorder(now=clock.now, emit=emit)
        self.steps = Steps(
            job, desk=desk, memory=self.memory, flag=self.flag, clock=clock, random=random, blocking=sync
        )
        self.context: BaseContext = (SyncContext if sync else Context)(
            execution_id=job.execution_id,
            agent_id=job.agent_id,
            attempt=job.attempt,
            labels=job.labels,
            trigger=job.trigger,
            log=lambda: logger_of(recorder),
            memory=self.memory,
            cancellation=self.flag,
            durable=self.steps,
        )

    def returned(self, value: Any) -> Outcome:
        """The outcome of a program that returned: one that returns after its cancel has succeeded too."""
        if self.steps.left is not None:
            return self._left(self.steps.left)  # it caught what was to take it out
        result = result_text(value)
        if isinstance(result, ExecutionError):
            return Failed(result)
        try:
            return Succeeded(result, self.memory.changed())
        except InvalidArgument as error:
            return Failed(ExecutionError(type=STATE_NOT_JSON, message=error.message, retryable=False))

    def raised(self, error: BaseException) -> Outcome:
        """The outcome of a program that raised: CancelledError is a cancel only if one was asked for."""
        if self.steps.left is not None:
            return self._left(self.steps.left)
        if isinstance(error, Leaving):
            return self._left(error)
        if isinstance(error, asyncio.CancelledError) and self.flag.requested:
            return Cancelled()
        if isinstance(error, LoadError):
            return NotLoaded(error.to_execution_error())
        failure = execution_error(error)
        if isinstance(error, asyncio.CancelledError) and not failure.message:
            failure = replace(failure, message="the program cancelled itself: nobody had asked it to end")
        return Failed(failure, error.retry_after if isinstance(error, HttpError) else 0.0)

    def _left(self, how: Leaving) -> Outcome:
        match how:
            case Lost():
                return ends.Interrupted("lease_lost", str(how))
            case Parked():
                return ends.Parked(str(how))
            case Continued():
                try:
                    given = checked(how.given, field="input")
                    return ends.Continued(given, self.memory.changed())
                except InvalidArgument as error:
                    return Failed(
                        ExecutionError(type="continue_as_new", message=error.message, retryable=False)
                    )
            case _:
                return ends.Suspended(self.steps.open)
