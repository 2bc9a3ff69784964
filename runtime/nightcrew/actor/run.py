"""One run of a child: its task from the start to an end that has a time limit."""

import asyncio
import contextvars
import io
import logging
import math
from typing import Final, Protocol

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.errors import ChildAbandoned, ChildCancelled, EndedEarly, StartTimeout
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.ports.clock import Clock, TimerHandle

KILL_GRACE: Final = 0.5
"""Seconds between the second cancel and being abandoned: time for `finally` blocks to unwind."""

_log = logging.getLogger(__name__)


class Owner(Protocol):
    """Whose run it is; both are called on the loop, once at most."""

    def run_ready(self, run: "Run") -> None:
        """The child has called `ready`."""

    def run_ended(self, run: "Run") -> None:
        """The run has ended; `run.error` says how."""


class Run:
    """One run of a child. It ends once, by itself or by `stop`, and tells its owner.

    Attributes:
        error: What it ended with, once `ended`; None for a normal end and for one that `stop` asked for.
        stopping: Whether `stop` was called: its end is then expected.
        task: Its task, once begun.
    """

    __slots__ = (
        "_clock",
        "_killed",
        "_owner",
        "_timed_out",
        "_timer",
        "_waiters",
        "ended",
        "error",
        "ready",
        "spec",
        "stopping",
        "task",
    )

    def __init__(self, spec: ChildSpec, owner: Owner, clock: Clock) -> None:
        self.spec = spec
        self.ready = False
        self.ended = False
        self.stopping = False
        self.error: BaseException | None = None
        self._owner = owner
        self._clock = clock
        self.task: asyncio.Task[None] | None = None
        self._killed = False
        self._timed_out = False
        self._timer: TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []

    def begin(self, name: str, context: contextvars.Context) -> None:
        """Enters the child's life in a task; what it does first happens in the loop's next turn."""
        loop = asyncio.get_running_loop()
        try:
            self.task = loop.create_task(self.spec.start(self._say_ready), name=name, context=context)
        except Exception as error:  # noqa: BLE001 - a start that can't even be called is a child's failure
            self.error = error
            loop.call_soon(self._end)
            return
        self.task.add_done_callback(self._task_done)
        if self.spec.start_limit != math.inf:
            self._timer = self._clock.call_later(self.spec.start_limit, self._start_timed_out)

    def stop(self) -> None:
        """Asks the child to end (cancels it) within its limit; a second call does nothing."""
        if not self.stopping and not self.ended:
            self.stopping = True
            self._cancel()

    def kill(self) -> None:
        """Gives the child no more time: cancels it once more, and abandons it if that does not end it.

        A supervisor is never abandoned: its second cancel makes it kill its own children, and then it ends.
        """
        if self.ended or self._killed:
            return
        if not self.stopping:
            self.stopping = True
            self._cancel()
        self._kill()

    def reap(self) -> None:
        """Takes note at once of an end that the loop has not announced yet."""
        if self.task is not None and self.task.done():
            self._task_done(self.task)

    async def wait_ready(self) -> None:
        """Waits until the child is ready or has ended; to be cancelled leaves the child alone."""
        await self._wait(until_ready=True)

    async def wait_ended(self) -> None:
        """Waits until the run has ended; to be cancelled leaves the child alone."""
        await self._wait(until_ready=False)

    async def _wait(self, *, until_ready: bool) -> None:
        while not (self.ended or (until_ready and self.ready)):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _say_ready(self) -> None:
        if self.ready or self.ended or self.stopping or self._timed_out:
            return
        self.ready = True
        self._drop_timer()
        self._owner.run_ready(self)
        self._wake()

    def _start_timed_out(self) -> None:
        self._timed_out = True
        self._cancel()

    def _cancel(self) -> None:
        self._drop_timer()
        if self.task is None:
            return
        # In the next turn, so that a child whose task was made in this one is entered: what was opened for it
        # (an actor's mailbox) is then closed by its own `finally`.
        asyncio.get_running_loop().call_soon(self.task.cancel)
        if self.spec.shutdown_limit != math.inf:
            self._timer = self._clock.call_later(self.spec.shutdown_limit, self._kill)

    def _kill(self) -> None:
        self._drop_timer()
        self._killed = True
        task = self.task
        if task is None or task.done():
            return
        # Two cancels in one turn are one. A turn later, `_cancel`'s has been delivered.
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(task.cancel))
        if self.spec.subtree is None:
            self._timer = self._clock.call_later(KILL_GRACE, self._abandon)

    def _abandon(self) -> None:
        if self.ended or self.task is None:
            return
        task = self.task
        message = f"{task.get_name()} would not end though it was cancelled twice, and was left behind"
        stack = io.StringIO()
        task.print_stack(limit=20, file=stack)
        _log.error("%s; it may still do things. It waits here:\n%s", message, stack.getvalue())
        task.remove_done_callback(self._task_done)
        task.add_done_callback(_log_late_end)
        self.error = ChildAbandoned(message)
        self._end()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if self.ended:
            return
        if not task.cancelled():
            self.error = task.exception()
        elif not self.stopping:
            self.error = ChildCancelled(f"{task.get_name()} was cancelled, but not by its supervisor")
        self._end()

    def _end(self) -> None:
        self._drop_timer()
        self.ended = True
        if self._timed_out and not isinstance(self.error, ChildAbandoned):
            late = StartTimeout(f"was not ready in {self.spec.start_limit:g} s")
            late.__cause__ = None if isinstance(self.error, ChildCancelled) else self.error
            self.error = late
        elif not self.ready and not self.stopping and self.error is None and self._runs_for_ever:
            self.error = EndedEarly("a PERMANENT child returned before it was ready")
        self._owner.run_ended(self)
        self._wake()

    @property
    def _runs_for_ever(self) -> bool:
        return self.spec.mode is RestartMode.PERMANENT

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _log_late_end(task: asyncio.Task[None]) -> None:
    """An abandoned task has ended after all: its exception is looked at, so that it is not lost."""
    error = None if task.cancelled() else task.exception()
    _log.error("%s was left behind and has ended now", task.get_name(), exc_info=error)
