"""A supervisor: starts its children in order, restarts those that fail, gives up when they fail too often."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from nightcrew.actor.child import (
    ChildSpec,
    Ready,
    check_child,
    check_children,
    id_violations,
    rule_violations,
)
from nightcrew.actor.component import Component, ComponentKind, ComponentState
from nightcrew.actor.ending import stop_all
from nightcrew.actor.errors import (
    ActorStopped,
    ChildAbandoned,
    StartFailed,
    SupervisorGaveUp,
    describe,
)
from nightcrew.actor.lineup import Lineup
from nightcrew.actor.member import Member
from nightcrew.actor.run import Run
from nightcrew.actor.strategy import Strategy, plan
from nightcrew.domain.errors import (
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
)
from nightcrew.domain.restart import GiveUp, RestartAfter, RestartRule, decide, should_restart
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.ports.clock import Clock

_log = logging.getLogger(__name__)
_GONE = frozenset({ComponentState.STOPPED, ComponentState.GAVE_UP})


class Supervisor:
    """Keeps children running (erlang.org, supervisor). Await `run` in the app's main task, or nest it: `as_child`.

    Children start from left to right, each when the one before it is ready; a first start that fails ends the
    supervisor with StartFailed. They stop from right to left, each within its limit; those added later stop
    first and all at once. Every task that it makes has ended, or was loudly abandoned, when `run` ends.

    Args:
        id: Names it in logs and in the tree; no `/` and no white space.
        children: Those that are always there, from left to right.
        clock: For limits, back-off and the restart intensity.
        strategy: What is started again when a child is.
        rule: How often its children may fail together, and the waits between; its mode is not used.

    Raises:
        InvalidArgument: A spec or the rule is wrong; names every field.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - the word of ChildSpec and of the contract
        children: Sequence[ChildSpec] = (),
        *,
        clock: Clock,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        rule: RestartRule | None = None,
    ) -> None:
        self.id = id
        self.clock = clock
        self._specs = tuple(children)
        self._strategy = strategy
        self._rule = rule if rule is not None else RestartRule()
        faults = id_violations(id) + [
            FieldViolation(f"rule.{v.field}", v.description) for v in rule_violations(self._rule)
        ]
        if faults:
            raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in faults), violations=faults)
        check_children(self._specs, strategy)
        self._state = ComponentState.STOPPED
        self._start_time: datetime | None = None
        self._last_error = ""
        self._left_behind: set[asyncio.Task[None]] = set()
        self._reset()

    def _reset(self) -> None:
        self._members = {spec.id: Member(spec, self) for spec in self._specs}
        self._context = contextvars.copy_context()
        self._history: tuple[float, ...] = ()
        self._initial = True
        self._ending = False
        self._outcome: Exception | None = None
        self._stirred = asyncio.Event()
        self._lineup = Lineup(self._members, self.clock, self._stirred.set)

    # ---- its life -----------------------------------------------------------------------------------------

    async def run(self, ready: Ready) -> None:
        """Runs until it is stopped (returns, or raises CancelledError if it was cancelled) or fails.

        A second cancel while it stops kills the children that still run.

        Raises:
            StartFailed: A child did not start.
            SupervisorGaveUp: A child failed too often.
        """
        if self._state not in _GONE:
            raise RuntimeError(f"supervisor {self.id!r} runs already")
        self._reset()
        self._state = ComponentState.STARTING
        self._start_time = self.clock.now()
        try:
            while not self._ending:
                self._stirred.clear()
                if self._lineup.advance() and self._initial:
                    self._initial = False
                    self._state = ComponentState.RUNNING
                    ready()
                await self._stirred.wait()
        finally:
            await self._close()
        if self._outcome is not None:
            self._state = ComponentState.GAVE_UP
            self._last_error = describe(self._outcome)
            raise self._outcome

    def stop(self) -> None:
        """Stops the children in order; then `run` returns. Call it on the loop; again it does nothing."""
        self._end(None)

    def _end(self, outcome: Exception | None) -> None:
        if not self._ending:
            self._ending = True
            self._outcome = outcome
            self._stirred.set()

    async def _close(self) -> None:
        self._ending = True
        self._lineup.close()
        self._state = ComponentState.STOPPING
        try:
            await stop_all(self.id, list(self._members.values()))
        finally:
            self._state = ComponentState.STOPPED
            self._members = {id_: member for id_, member in self._members.items() if not member.dynamic}

    # ---- what members report ------------------------------------------------------------------------------

    def fresh_context(self) -> contextvars.Context:
        """See member.Boss."""
        return self._context.copy()

    def member_ready(self, member: Member) -> None:
        """See member.Boss."""
        self._lineup.settled(member)

    def member_ended(self, member: Member, run: Run) -> None:
        """See member.Boss: decides what follows. Nothing here waits; what must wait is left to the lineup."""
        self._lineup.settled(member)
        if isinstance(run.error, ChildAbandoned) and run.task is not None:
            self._left_behind.add(run.task)  # asyncio itself would forget it
            run.task.add_done_callback(self._left_behind.discard)
        if self._ending or run.stopping or member.doomed:
            self._expected_end(member, run)
        elif member.introducing:
            self._remove(member)
            if run.error is not None:
                _log.warning("%s/%s did not start: %s", self.id, member.spec.id, describe(run.error))
        elif run.error is not None and self._initial and not member.introduced and not member.dynamic:
            failure = StartFailed(member.spec.id, run.error)
            failure.__cause__ = run.error
            self._end(failure)
        elif should_restart(member.mode, run.error is not None):
            self._restart(member, run.error)
        else:
            self._finish(member, run.error)

    def _expected_end(self, member: Member, run: Run) -> None:
        member.doomed = False
        if run.error is not None and not isinstance(run.error, ChildAbandoned):
            _log.error("%s/%s failed while it stopped", self.id, member.spec.id, exc_info=run.error)
        if member.leaving or (member.mode is RestartMode.TEMPORARY and not self._ending):
            self._remove(member)

    def _finish(self, member: Member, error: BaseException | None) -> None:
        if error is not None:
            _log.error("%s/%s failed and is not restarted", self.id, member.spec.id, exc_info=error)
        if member.dynamic or member.mode is RestartMode.TEMPORARY:
            self._remove(member)
        if member.spec.significant:
            _log.info("%s ends: its significant child %s has ended", self.id, member.spec.id)
            self._end(None)

    def _remove(self, member: Member) -> None:
        if self._members.get(member.spec.id) is member:
            del self._members[member.spec.id]

    # ---- restarts -----------------------------------------------------------------------------------------

    def _restart(self, member: Member, error: BaseException | None) -> None:
        own = member.spec.rule
        history = self._history if own is None else member.history
        match decide(history, self.clock.monotonic(), own or self._rule):
            case GiveUp(restarts=needed):
                self._give_up(member, error, needed)
            case RestartAfter(delay=delay, history=kept):
                if own is None:
                    self._history = kept
                else:
                    member.history = kept
                self._tell_of(member, error, delay)
                if self._strategy is Strategy.ONE_FOR_ONE:
                    member.back_off(delay)
                else:
                    self._lineup.restart(member, plan(self._strategy, self._members, member.spec.id), delay)

    def _tell_of(self, member: Member, error: BaseException | None, delay: float) -> None:
        name, said = member.spec.id, describe(error)
        if not member.spec.outside:
            _log.error("%s/%s ended (%s); restart in %g s", self.id, name, said, delay, exc_info=error)
        elif not member.told:
            member.told = True
            _log.warning("%s/%s: %s; it is tried again, later each time", self.id, name, said)

    def _give_up(self, member: Member, error: BaseException | None, needed: int) -> None:
        rule = member.spec.rule or self._rule
        gave_up = SupervisorGaveUp(
            self.id, member.spec.id, error, needed=needed, intensity=rule.intensity, period=rule.period
        )
        gave_up.__cause__ = error
        _log.error("%s", gave_up, exc_info=error)
        if member.spec.rule is None:
            self._end(gave_up)
            return
        member.state = ComponentState.GAVE_UP
        if member.spec.on_give_up is not None:
            try:
                member.spec.on_give_up(member.spec.id, error)
            except Exception:  # noqa: BLE001 - one hook's fault must not end the siblings; the log has it
                _log.exception("%s/%s: on_give_up failed", self.id, member.spec.id)

    # ---- children that come and go ------------------------------------------------------------------------

    def spawn(self, spec: ChildSpec) -> None:
        """Adds a child and starts it without waiting; a start that fails is followed by its restart mode.

        It leaves no trace when it ends for good. An id is free again then, also in the turn of the loop in
        which it ended; a child that gave up is replaced.

        Raises:
            InvalidArgument: The spec is wrong; names every field.
            AlreadyExists: A child of that id runs, or waits for its restart.
            ActorStopped: The supervisor does not run.
            FailedPrecondition: Its strategy is not ONE_FOR_ONE.
        """
        self._add(spec, introducing=False)

    async def start_child(self, spec: ChildSpec) -> None:
        """Adds a child and waits until it is ready; if its first start fails, it is not kept and counts nowhere.

        If the caller is cancelled the child stays.

        Raises:
            StartFailed: It ended before it was ready; `__cause__` says why.
            InvalidArgument: The spec is wrong; names every field.
            AlreadyExists: A child of that id runs, or waits for its restart.
            ActorStopped: The supervisor does not run, or stopped the child while it started.
            FailedPrecondition: Its strategy is not ONE_FOR_ONE.
        """
        run = self._add(spec, introducing=True)
        await run.wait_ready()
        if run.ready:
            return
        if run.stopping:
            raise ActorStopped(spec.id, "it was stopped while it started")
        if run.error is not None:
            raise StartFailed(spec.id, run.error) from run.error

    async def terminate_child(self, id: str) -> None:  # noqa: A002 - the word of ChildSpec
        """Stops a child within its limit and forgets it; if the caller is cancelled, that goes on.

        Raises:
            NotFound: It has no such child.
            FailedPrecondition: Its strategy is not ONE_FOR_ONE.
        """
        self._needs_independent_children()
        member = self._members.get(id)
        if member is None:
            raise NotFound("component", f"{self.id}/{id}")
        member.leaving = True
        run = member.run
        member.stop()
        if run is None:
            self._remove(member)
        else:
            await run.wait_ended()

    def _add(self, spec: ChildSpec, *, introducing: bool) -> Run:
        self._needs_independent_children()
        if self._ending or self._state not in {ComponentState.STARTING, ComponentState.RUNNING}:
            raise ActorStopped(self.id, f"the supervisor is {self._state}")
        check_child(spec, self._strategy)
        old = self._members.get(spec.id)
        if old is not None and old.run is not None:
            old.run.reap()
            old = self._members.get(spec.id)
        if old is not None and (old.run is not None or old.state not in _GONE or spec.id in self._lineup):
            raise AlreadyExists("component", f"{self.id}/{spec.id}")
        member = Member(spec, self, dynamic=True)
        member.introducing = introducing
        self._members[spec.id] = member
        return member.begin()

    def _needs_independent_children(self) -> None:
        if self._strategy is not Strategy.ONE_FOR_ONE:
            raise FailedPrecondition(
                f"supervisor {self.id!r} is {self._strategy}: only one_for_one takes and gives children while it runs"
            )

    # ---- what it shows ------------------------------------------------------------------------------------

    def as_child(
        self,
        *,
        restart: RestartMode = RestartMode.UNSPECIFIED,
        rule: RestartRule | None = None,
        on_give_up: Callable[[str, BaseException | None], None] | None = None,
        shutdown: float | None = None,
        start_timeout: float | None = None,
        significant: bool = False,
    ) -> ChildSpec:
        """This supervisor as a child of another; see ChildSpec."""
        return ChildSpec(
            id=self.id,
            start=self.run,
            restart=restart,
            rule=rule,
            on_give_up=on_give_up,
            shutdown=shutdown,
            start_timeout=start_timeout,
            kind=ComponentKind.SUPERVISOR,
            significant=significant,
            subtree=self,
        )

    def components(self) -> list[Component]:
        """The whole tree under this supervisor as its root, each parent before its children."""
        own = Component(
            id=self.id,
            parent="",
            kind=ComponentKind.SUPERVISOR,
            state=self._state,
            restarts=0,
            start_time=self._start_time,
            mode=RestartMode.TEMPORARY,
            last_error=self._last_error,
            children=self.size,
        )
        return [own, *self.rows(self.id)]

    @property
    def size(self) -> int:
        """How many children it has."""
        return len(self._members)

    def rows(self, path: str) -> list[Component]:
        """See component.Subtree."""
        found: list[Component] = []
        for member in self._members.values():
            found.append(member.row(path))
            if member.spec.subtree is not None:
                found += member.spec.subtree.rows(f"{path}/{member.spec.id}")
        return found
