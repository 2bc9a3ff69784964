"""One attempt in this process: its recorder, its context, and how its end becomes an outcome."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from nightcrew.agent.context import CancelFlag, Context, Memory
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.log import NewLogEntry
from nightcrew.ports.host import Cancelled, Failed, Job, NotLoaded, Outcome, Succeeded
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
        now: The wall clock, for log entries.
        emit: Takes each log entry at once; called from any thread, must not block.
    """

    __slots__ = ("context", "flag", "job", "memory", "recorder")

    def __init__(self, job: Job, *, now: Callable[[], datetime], emit: Callable[[NewLogEntry], None]) -> None:
        self.job = job
        self.flag = CancelFlag()
        self.memory = Memory(job.memory, job.memory_refusal)
        self.recorder = recorder = Recorder(now=now, emit=emit)
        self.context = Context(
            execution_id=job.execution_id,
            agent_id=job.agent_id,
            attempt=job.attempt,
            labels=job.labels,
            trigger=job.trigger,
            log=lambda: logger_of(recorder),
            memory=self.memory,
            cancellation=self.flag,
        )

    def returned(self, value: Any) -> Outcome:
        """The outcome of a program that returned: one that returns after its cancel has succeeded too."""
        result = result_text(value)
        if isinstance(result, ExecutionError):
            return Failed(result)
        try:
            return Succeeded(result, self.memory.changed())
        except InvalidArgument as error:
            return Failed(ExecutionError(type=STATE_NOT_JSON, message=error.message, retryable=False))

    def raised(self, error: BaseException) -> Outcome:
        """The outcome of a program that raised: CancelledError is a cancel only if one was asked for."""
        if isinstance(error, asyncio.CancelledError) and self.flag.requested:
            return Cancelled()
        if isinstance(error, LoadError):
            return NotLoaded(error.to_execution_error())
        failure = execution_error(error)
        if isinstance(error, asyncio.CancelledError) and not failure.message:
            failure = replace(failure, message="the program cancelled itself: nobody had asked it to end")
        return Failed(failure, error.retry_after if isinstance(error, HttpError) else 0.0)
