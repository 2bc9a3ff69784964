"""Where programs run: a job is handed to a host with a desk for its journal, an outcome comes at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nightcrew.domain.execution import ExecutionError, TriggerRef
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.progress import Progress
from nightcrew.domain.spec.program import Isolation, Program
from nightcrew.domain.step import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSource:
    """Where a registered program's code is: only what `nightcrew up` was given has one.

    Attributes:
        kind: `python`, `langflow`, `command` or `http`.
        name: What people call it: `package.module:object`, the flow's name, the command, the URL.
        path: The file that holds it, or names it.
        root: The folder that goes on sys.path for it (python), or that it runs in unless it says another (command).
        module: The module's dotted name (python).
        attribute: The object's name in the module (python).
        is_async: Whether it may run on the event loop (python: the object is a coroutine function).
        content: What a program is known by where that is not the name (spec's Program.key).
    """

    kind: str
    name: str
    path: str
    root: str = ""
    module: str = ""
    attribute: str = ""
    is_async: bool = False
    content: str = ""

    @property
    def key(self) -> str:
        """What a program of this source is looked up by."""
        return self.content or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt of an execution, with all that a host needs to run it.

    Attributes:
        isolation: Resolved: INLINE, POOL or DEDICATED.
        own_worker: Run it in a worker of its own, made for it (a run that was interrupted too often).
        memory: The agent's kept `ctx.state`, or None where the agent may not use it (max_concurrency is not
            1); `memory_refusal` then says why.
        cancel_grace: Seconds between a cancel and the kill.
        hidden: The secrets that stand in the program: whatever is told of the run must not hold them.
        journal: What the execution has journaled so far.
        replay: Only find out whether its code fits its journal: nothing is done that is not in it.
        cancelling: It was cancelled while it waited: it is run once more, to be raised into where its journal ends.
    """

    execution_id: str
    lease: int
    agent_id: str
    attempt: int
    program: Program
    source: ProgramSource
    input: dict[str, Any]
    isolation: Isolation
    trigger: TriggerRef
    labels: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] | None = None
    memory_refusal: str = ""
    cancel_grace: float = 10.0
    own_worker: bool = False
    hidden: tuple[str, ...] = ()
    journal: tuple[Step, ...] = ()
    cancelling: bool = False
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It returned; `result` is JSON text, `memory` the JSON text of `ctx.state` if it changed."""

    result: str
    memory: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It raised, or what it returned can't be kept; `retry_after` are the seconds that whom it asked wants to rest."""

    error: ExecutionError
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It ended with CancelledError after `Host.cancel`."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """It did not end by itself: `reason` is `worker_lost`, `killed` or `drained`; `message` says more."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """Its code can't be loaded; nothing of it has run."""

    error: ExecutionError


@dataclass(frozen=True, slots=True)
class Abandoned:
    """`Host.kill` could not end it (an inline program that holds on); it goes on without a lease."""

    message: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """All it does is to wait, and it has left memory; `open` are the keys of the steps that it waits for."""

    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parked:
    """Its code does not fit its journal; `message` names both sides."""

    message: str


@dataclass(frozen=True, slots=True)
class Continued:
    """It ended to go on as a new execution; `given` is the JSON text of that one's input."""

    given: str
    memory: str | None = None


Outcome = (
    Succeeded | Failed | Cancelled | Interrupted | NotLoaded | Abandoned | Suspended | Parked | Continued
)


class Desk(Protocol):
    """The runtime's side of a run's journal: what it answers is on disk.

    Every call raises LeaseLost when the run is no longer the execution's.
    """

    async def write(self, step: Step) -> Step:
        """Journals a step, and does what belongs to it in the same transaction; returns it as it is then.

        A wait may come back ended: the signal was there before. A call or an event that is refused comes back
        FAILED.
        """

    async def settle(self, key: str) -> Step:
        """The step as it is now; a wait whose time is over has ended then."""

    async def save_memory(self, memory: str) -> None:
        """Saves the agent's `ctx.state`, as JSON text."""

    def beat(self) -> None:
        """Takes a sign of life."""

    def report(self, progress: Progress) -> None:
        """Takes how far the run has got, which is a sign of life, too; called on the event loop."""


class LogSink(Protocol):
    """Takes what an execution says; called on the event loop, never blocks, may drop with a mark when full."""

    def write(self, entries: Sequence[NewLogEntry]) -> None:
        """Takes entries in order."""


class Host(Protocol):
    """Runs jobs. `run` returns an outcome and never raises for a program's fault."""

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt to its end. If the awaiting task is cancelled the job is killed."""

    def arrived(self, execution_id: str, lease: int) -> None:
        """A wait of the job may be over: it is to look. No such job: nothing happens."""

    def cancel(self, execution_id: str, lease: int) -> None:
        """Asks the job to end: CancelledError is raised into it. No such job: nothing happens."""

    def kill(self, execution_id: str, lease: int) -> None:
        """Ends the job by force, so that its `run` returns: Interrupted("killed") or Abandoned."""
