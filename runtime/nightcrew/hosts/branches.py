"""Which task of a program does what: child tasks are branches of its journal, numbered in order of creation.

So parallel steps find their entries again whatever their timing is. A task factory numbers them, since only it
sees a task before the task does anything.
"""

import asyncio
import contextvars
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, Final, Protocol


class Family(Protocol):
    """Who is told of a program's tasks."""

    def born(self, task: "asyncio.Task[Any]") -> None:
        """A task of the program was created."""


class Branch:
    """One task's branch of a journal."""

    __slots__ = ("_children", "family", "path")

    def __init__(self, family: Family, path: str = "") -> None:
        self.family = family
        self.path = path
        self._children = 0

    def child(self) -> "Branch":
        """The branch of the next task that this one creates."""
        number = self._children
        self._children += 1
        return Branch(self.family, f"{self.path}.{number}" if self.path else str(number))


current: Final[ContextVar[Branch | None]] = ContextVar("nightcrew_branch", default=None)
"""The branch of the code that runs; None outside of programs and inside of steps."""


def number_branches(loop: asyncio.AbstractEventLoop) -> None:
    """Has the loop number the tasks that programs create."""
    if loop.get_task_factory() is not _make:
        loop.set_task_factory(_make)  # type: ignore[arg-type]  # its type asks for a generator, too


def _make(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    context: contextvars.Context | None = None,
    **more: Any,
) -> "asyncio.Task[Any]":
    parent = current.get() if context is None else context.get(current)
    if parent is None:
        return asyncio.Task(coroutine, loop=loop, context=context, **more)
    own = contextvars.copy_context() if context is None else context.copy()
    own.run(current.set, parent.child())
    task = asyncio.Task(coroutine, loop=loop, context=own, **more)
    parent.family.born(task)
    return task
