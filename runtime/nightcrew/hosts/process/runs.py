"""One run in a worker: async programs and flows on its loop, sync programs in a thread of their own."""

import asyncio
import ctypes
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from nightcrew.domain.log import LogStream
from nightcrew.hosts.attempt import Attempt
from nightcrew.ports.host import Outcome
from nightcrew.programs.langflow.runner import FlowRunner
from nightcrew.programs.python import load_python, loaded_python
from nightcrew.system.capture import adopt_structlog, recording

T = TypeVar("T")
Done = Callable[[Outcome], None]
"""Called once, from any thread, with the outcome."""

_CANCEL_PATIENCE = 0.5


class WorkerRun(Protocol):
    """A run in a worker."""

    def start(self) -> None:
        """Begins; called from the reader's thread, so that a blocked loop holds up no sync program."""

    def arrived(self) -> None:
        """A wait may be over; called from the reader's thread."""

    def cancel(self) -> None:
        """Raises CancelledError into the program; called from the reader's thread."""


class AsyncRun:
    """An async program, or a flow, as a task on the worker's loop."""

    def __init__(
        self, attempt: Attempt, *, loop: asyncio.AbstractEventLoop, flows: FlowRunner, done: Done
    ) -> None:
        self._attempt = attempt
        self._loop = loop
        self._flows = flows
        self._done = done
        self._task: asyncio.Task[Outcome] | None = None

    def start(self) -> None:
        """Begins the task, on the loop."""
        self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._body(), name=f"run:{self._attempt.job.execution_id}")
        self._task.add_done_callback(self._ended)
        if self._attempt.flag.requested:  # a cancel came first
            self._task.cancel()

    def arrived(self) -> None:
        """Has the program look at what it waits for, on the loop."""
        self._loop.call_soon_threadsafe(self._attempt.steps.arrived)

    def cancel(self) -> None:
        """Cancels the task, on the loop."""
        self._attempt.flag.requested = True
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _body(self) -> Outcome:
        attempt = self._attempt
        with recording(attempt.recorder):
            try:
                value = await self._value()
            except BaseException as error:  # noqa: BLE001 - SystemExit of a program must not end the worker
                return attempt.raised(error)
            finally:
                attempt.steps.close()
            return attempt.returned(value)

    async def _value(self) -> Any:
        attempt, job = self._attempt, self._attempt.job
        if job.source.kind == "langflow":
            return await self._flows.run(
                job.source,
                job.program,
                job.input,
                attempt.context,
                on_token=lambda token: attempt.recorder.add(token, stream=LogStream.TOKEN),
            )
        entry = loaded_python(job.source)
        if entry is None:
            # An import may take seconds: it must not hold up the others on this loop.
            entry = await asyncio.to_thread(load_python, job.source)
            adopt_structlog()
        attempt.steps.enter()
        return await entry.call(attempt.context, job.input)

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        fault = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._attempt.recorder.close()
        self._done(task.result() if fault is None else self._attempt.raised(fault))


class SyncRun:
    """A sync program in its own thread; a cancel is raised into the thread at its next bytecode.

    A thread that waits in C code (a sleep, a read) notices only when that returns: the grace's end kills
    the worker then.
    """

    def __init__(self, attempt: Attempt, *, done: Done) -> None:
        self._attempt = attempt
        self._done = done
        self._inside = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._main, name=f"run:{attempt.job.execution_id}", daemon=True
        )

    def start(self) -> None:
        """Begins the thread."""
        self._thread.start()

    def arrived(self) -> None:
        """A sync program that waits has left its thread."""

    def cancel(self) -> None:
        """Sets the flag, and raises CancelledError into the program if it is under way."""
        if self._attempt.flag.requested:
            return
        self._attempt.flag.requested = True
        # The wait is bounded: the reader must go on, even if the exception of another cancel tore the lock.
        held = self._lock.acquire(timeout=_CANCEL_PATIENCE)
        try:
            if self._inside and self._thread.ident is not None:
                _raise_into(self._thread.ident, asyncio.CancelledError)
        finally:
            if held:
                self._lock.release()

    def _main(self) -> None:
        try:
            outcome = self._run()
        except BaseException as error:  # noqa: BLE001 - a cancel may strike between the program and its end
            outcome = self._attempt.raised(error)
        self._attempt.recorder.close()
        self._done(outcome)

    def _run(self) -> Outcome:
        attempt = self._attempt
        with recording(attempt.recorder):
            try:
                entry = load_python(attempt.job.source)
                adopt_structlog()
                attempt.steps.enter()
                value = self._inside_program(lambda: entry.call(attempt.context, attempt.job.input))
            except BaseException as error:  # noqa: BLE001 - SystemExit of a program must not end the worker
                return attempt.raised(error)
            return attempt.returned(value)

    def _inside_program(self, call: Callable[[], T]) -> T:
        """Calls it; only in here may a cancel be raised."""
        try:
            with self._lock:
                if self._attempt.flag.requested:
                    raise asyncio.CancelledError
                self._inside = True
            value = call()
            if inspect.isawaitable(value):  # a sync wrapper round an async function
                value = asyncio.run(_awaited(value))
            return value
        finally:
            with self._lock:
                self._inside = False
            _raise_into(threading.get_ident(), None)


async def _awaited(value: Awaitable[T]) -> T:
    return await value


def _raise_into(thread: int, error: type[BaseException] | None) -> None:
    """Sets (or, with None, clears) the exception that a thread raises at its next bytecode."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error is not None else None
    )
