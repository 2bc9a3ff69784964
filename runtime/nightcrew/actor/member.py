"""A child under its supervisor: its present run, and what is remembered from one run to the next."""

import contextvars
from datetime import datetime
from typing import Protocol

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.component import Component, ComponentState
from nightcrew.actor.errors import describe
from nightcrew.actor.run import Run
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.ports.clock import Clock, TimerHandle


class Boss(Protocol):
    """What a member needs of its supervisor."""

    @property
    def id(self) -> str:
        """Names the tasks."""

    @property
    def clock(self) -> Clock:
        """For limits and back-off."""

    def fresh_context(self) -> contextvars.Context:
        """The context that a child's task runs in: the supervisor's, not that of whoever asked for the child."""

    def member_ready(self, member: "Member") -> None:
        """The present run is ready."""

    def member_ended(self, member: "Member", run: Run) -> None:
        """The present run has ended; the member's state is STOPPED until the supervisor says otherwise."""


class Member:
    """A child of a running supervisor.

    Attributes:
        dynamic: It was added while the supervisor ran.
        introducing: `start_child` waits for its first start: a failure of that is the caller's to hear.
        introduced: It was ready at least once.
        doomed: A sibling's failure makes it stop; what it ends with does not count.
        leaving: It is removed once it has ended.
        told: Its failures were told, and it has not been ready since.
        history: Times of its failures, if it has a rule of its own.
        run: Its present run, None when it has none.
    """

    __slots__ = (
        "_boss",
        "_timer",
        "doomed",
        "dynamic",
        "history",
        "introduced",
        "introducing",
        "last_error",
        "leaving",
        "restarts",
        "run",
        "spec",
        "start_time",
        "state",
        "told",
    )

    def __init__(self, spec: ChildSpec, boss: Boss, *, dynamic: bool = False) -> None:
        self.spec = spec
        self.dynamic = dynamic
        self.introducing = False
        self.introduced = False
        self.doomed = False
        self.leaving = False
        self.told = False
        self.history: tuple[float, ...] = ()
        self.run: Run | None = None
        self.state = ComponentState.STOPPED
        self.restarts = 0
        self.start_time: datetime | None = None
        self.last_error = ""
        self._boss = boss
        self._timer: TimerHandle | None = None

    @property
    def mode(self) -> RestartMode:
        """When it is started again."""
        return self.spec.mode

    def begin(self) -> Run:
        """Starts a new run."""
        self._drop_timer()
        if self.start_time is not None:
            self.restarts += 1
        self.start_time = self._boss.clock.now()
        self.state = ComponentState.STARTING
        self.run = run = Run(self.spec, self, self._boss.clock)
        run.begin(f"{self._boss.id}/{self.spec.id}", self._boss.fresh_context())
        return run

    def back_off(self, seconds: float) -> None:
        """Starts a new run after so many seconds; not positive: now."""
        if seconds <= 0:
            self.begin()
            return
        self.state = ComponentState.BACKING_OFF
        self._timer = self._boss.clock.call_later(seconds, self._back)

    def stop(self) -> None:
        """Asks its run to end within its limit, or calls the next one off."""
        self._drop_timer()
        if self.run is None:
            if self.state is not ComponentState.GAVE_UP:
                self.state = ComponentState.STOPPED
            return
        self.state = ComponentState.STOPPING
        self.run.stop()

    def kill(self) -> None:
        """Gives its run no more time."""
        self.stop()
        if self.run is not None:
            self.run.kill()

    def run_ready(self, run: Run) -> None:
        """See run.Owner."""
        if run is self.run:
            self.state = ComponentState.RUNNING
            self.introduced = True
            self.introducing = False
            if self.spec.outside:
                self.told = False
                self.history = ()
            self._boss.member_ready(self)

    def run_ended(self, run: Run) -> None:
        """See run.Owner."""
        if run is self.run:
            self.run = None
            self.state = ComponentState.STOPPED
            if run.error is not None:
                self.last_error = describe(run.error)
            self._boss.member_ended(self, run)

    def row(self, path: str) -> Component:
        """How it looks from outside; `path` is its supervisor's id in the tree."""
        return Component(
            id=f"{path}/{self.spec.id}",
            parent=path,
            kind=self.spec.kind,
            state=self.state,
            restarts=self.restarts,
            start_time=self.start_time,
            mode=self.spec.mode,
            last_error=self.last_error,
            children=0 if self.spec.subtree is None else self.spec.subtree.size,
        )

    def _back(self) -> None:
        self._timer = None
        self.begin()

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
