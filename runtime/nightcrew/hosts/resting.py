"""The tasks of one program, and which of them only wait: when all do, the program can leave memory."""

import asyncio
from asyncio import tasks as _tasks
from collections.abc import Callable
from typing import Any, Final

from nightcrew.ports.clock import Clock

CHECK_EVERY: Final = 1.0
"""Seconds between looks while some tasks rest and others work: what those wait for next, nobody is told."""

# Code that only waits for other tasks: a task in it rests if they do.
_JOINS: Final = frozenset(
    {
        asyncio.TaskGroup.__aexit__.__code__,
        _tasks._wait.__code__,  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio.wait's own waiting
        asyncio.wait_for.__code__,
    }
)


class Resting:
    """A program's tasks (hosts.branches.Family)."""

    __slots__ = ("_check", "_clock", "_leave", "_resting", "_root", "_tasks", "_wakers")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._root: asyncio.Task[Any] | None = None
        self._leave: Callable[[], None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._resting: set[asyncio.Task[Any]] = set()
        self._wakers: set[asyncio.Future[None]] = set()
        self._check: asyncio.Handle | None = None

    def enter(self, root: "asyncio.Task[Any] | None", leave: Callable[[], None]) -> None:
        """The program begins in this task; `leave` is called when everything in it waits."""
        self._root, self._leave = root, leave

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that the program runs on; None before it has begun, and for one that has no loop."""
        return None if self._root is None else self._root.get_loop()

    def born(self, task: "asyncio.Task[Any]") -> None:
        """A task of the program was created."""
        self._tasks.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        self._soon()

    @property
    def alone(self) -> bool:
        """Whether the program's own task is the one that asks, and has no others."""
        return not self._tasks and asyncio.current_task() is self._root

    async def rest(self, seconds: float | None) -> None:
        """Waits until something has arrived, so many seconds have passed, or the program is left."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wakers.add(waker)
        self._resting.add(task)
        self._soon()
        timer = None if seconds is None else self._clock.call_later(max(seconds, 0.0), lambda: _set(waker))
        try:
            await waker
        finally:
            self._wakers.discard(waker)
            self._resting.discard(task)
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Something has arrived: whoever rests is to look."""
        for waker in self._wakers:
            _set(waker)

    def close(self, *, cancel: bool) -> None:
        """The program has ended; with `cancel` the tasks that it left behind end too."""
        if self._check is not None:
            self._check.cancel()
        self._leave = None
        if cancel:
            for task in self._tasks:
                task.cancel()

    def _soon(self, seconds: float = 0.0) -> None:
        """Looks whether all rest, once what can run now has run."""
        if not self._resting or self._leave is None:
            return
        if self._check is not None:
            self._check.cancel()
        self._check = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._check = None
        if not self._resting or self._leave is None or self._root is None:
            return
        ours = {self._root, *self._tasks}
        if all(task in self._resting or _joins(task, ours) for task in ours):
            leave, self._leave = self._leave, None
            leave()
            self._root.cancel()
        else:
            self._soon(CHECK_EVERY)


def _set(waker: "asyncio.Future[None]") -> None:
    if not waker.done():
        waker.set_result(None)


def _joins(task: "asyncio.Task[Any]", ours: "set[asyncio.Task[Any]]") -> bool:
    """Whether all that a task does is to wait for others of ours."""
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public tells what a task waits for
    if waiter in ours:
        return True
    children = getattr(waiter, "_children", None)  # a gather
    if children is not None:
        return all(one.done() or one in ours for one in children)
    code = None
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        code = frame.f_code
        awaited = awaited.cr_await
    return code in _JOINS
