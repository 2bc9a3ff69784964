"""The use cases of executions: trigger, wait, read, cancel, retry."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nightcrew.crew.admission import admit_one
from nightcrew.crew.bus import Bus, Signal
from nightcrew.crew.cancels import cancel
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.intake import Work
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import NightcrewError, NotFound
from nightcrew.domain.execution import FINAL, Execution, TriggerKind, TriggerRef
from nightcrew.domain.filter import And, Comparison, Not
from nightcrew.domain.lifecycle.agent import check_manual
from nightcrew.domain.page import ListQuery, Page
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.guard import Guard, check_labels
from nightcrew.services.once import Request, check_request_id, once
from nightcrew.services.retrying import retry_one


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggering:
    """A wish to run an agent by hand; `check` is asked about the agent as it then is, and may refuse."""

    agent_id: str
    request: Request
    input: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    check: Callable[[Agent], None] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A part of an agent's executions, by their ids, and how many it has in all."""

    ids: list[str]
    total: int


class ExecutionService:
    """What callers can do with executions."""

    def __init__(
        self, *, commits: Commits, reads: Reads, bus: Bus, guard: Guard, clock: Clock, ids: Ids
    ) -> None:
        self._commits = commits
        self._reads = reads
        self._bus = bus
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def trigger(self, wish: Triggering) -> Execution:
        """Creates an execution; it is on disk when this returns.

        Raises:
            NotFound, FailedPrecondition, ResourceExhausted, InvalidArgument: As the rules say.
        """
        _check(wish)
        self._guard.check_open()
        execution_id, now = self._ids.uuid7(), self._clock.now()

        def unit(tx: Transaction, after: After) -> Execution:
            return self._admit(tx, after, wish, execution_id, now)

        return await self._commits.run(unit)

    async def trigger_many(self, wishes: Sequence[Triggering]) -> list[Execution | NightcrewError]:
        """Creates many in one commit; each succeeds or fails on its own."""
        self._guard.check_open()
        now = self._clock.now()
        numbered = [(wish, self._ids.uuid7()) for wish in wishes]

        def unit(tx: Transaction, after: After) -> list[Execution | NightcrewError]:
            out: list[Execution | NightcrewError] = []
            for wish, execution_id in numbered:
                try:
                    _check(wish)
                    out.append(self._admit(tx, after, wish, execution_id, now))
                except NightcrewError as error:
                    out.append(error)  # raised before anything was written for this wish
            return out

        return await self._commits.run(unit)

    def _admit(
        self, tx: Transaction, after: After, wish: Triggering, execution_id: str, now: datetime
    ) -> Execution:
        def do() -> Execution:
            agent = tx.agents.get(wish.agent_id)
            if agent is None:
                raise NotFound("agent", wish.agent_id)
            if wish.check is not None:
                wish.check(agent)
            check_manual(agent.state, agent_id=agent.id)
            self._guard.check_input(agent.spec.program, wish.input)
            work = Work(
                execution_id=execution_id,
                trigger=TriggerRef(kind=TriggerKind.MANUAL),
                input=wish.input,
                labels=wish.labels,
                priority=wish.priority,
            )
            return admit_one(tx, after, agent, work, now=now)

        return once(
            tx, wish.request, now=now, do=do, remember=lambda e: e.id, recall=lambda key: _get(tx, key)
        )

    async def wait(self, execution_id: str, seconds: float, *, closing: Signal | None = None) -> Execution:
        """The execution once it has ended, or as it is after so many seconds or once `closing` is poked.

        Raises:
            NotFound: There is no such execution.
        """
        with self._bus.endings.expect(execution_id) as ending:
            execution = await self.get(execution_id)
            if execution.state.final or seconds <= 0:
                return execution
            timer = self._clock.call_later(
                seconds, lambda: None if ending.done() else ending.set_result(None)
            )
            if closing is not None:
                closing.join(ending)
            try:
                if closing is None or not closing.version:
                    await asyncio.shield(ending)
            finally:
                timer.cancel()
                if closing is not None:
                    closing.leave(ending)
        return await self.get(execution_id)

    async def wait_for_all(self, agent_id: str, seconds: float) -> None:
        """Returns once nothing of an agent is open any more, or after so many seconds."""
        end = self._clock.monotonic() + seconds
        mine = Comparison("agent_id", "=", agent_id, 0)
        final = (Not(Comparison("state", "=", state.value, 0)) for state in sorted(FINAL))
        unended = ListQuery(page_size=1, where=And((mine, *final)))
        while (left := end - self._clock.monotonic()) > 0 and (found := (await self.page(unended)).items):
            with suppress(NotFound):  # its agent may be deleted meanwhile
                await self.wait(found[0].id, left)

    async def get(self, execution_id: str) -> Execution:
        """The execution.

        Raises:
            NotFound: There is no such execution.
        """
        execution = await self._reads.execution(execution_id)
        if execution is None:
            raise NotFound("execution", execution_id)
        return execution

    async def page(self, query: ListQuery) -> Page[Execution]:
        """A page of executions."""
        return await self._reads.executions(query)

    async def history(self, agent_id: str, *, limit: int, offset: int) -> History:
        """A part of an agent's executions, the newest first, and how many it has.

        Raises:
            NotFound: There is no such agent.
        """
        ids, total = await self._reads.execution_ids(agent_id, limit=limit, offset=offset)
        if not total and await self._reads.agent(agent_id) is None:
            raise NotFound("agent", agent_id)
        return History(ids, total)

    async def some(self, execution_ids: Sequence[str]) -> list[Execution]:
        """Those of the given executions that exist, in the order given."""
        found = await self._reads.executions_by_id(execution_ids)
        return [found[one] for one in execution_ids if one in found]

    async def cancel(self, execution_id: str, *, reason: str, request: Request) -> Execution:
        """Cancels an execution: at once if it does not run, by a committed mark if it does; final ones stay.

        Raises:
            NotFound: There is no such execution.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Execution:
            def do() -> Execution:
                cancel(tx, after, _get(tx, execution_id), reason=reason or "cancelled by hand", now=now)
                return _get(tx, execution_id)

            return once(
                tx, request, now=now, do=do, remember=lambda e: e.id, recall=lambda key: _get(tx, key)
            )

        return await self._commits.run(unit)

    async def retry(
        self, execution_id: str, *, request: Request, from_step: tuple[str, int] | None = None
    ) -> Execution:
        """Runs an execution that has ended once more, as a new one that names it as its cause.

        One that waits for code that fits tries again itself.

        Args:
            execution_id: The execution.
            request: Who asks.
            from_step: A step's name and which of that name: the journal answers for those before it.

        Raises:
            NotFound: There is no such execution.
            InvalidArgument: It has no such step.
            FailedPrecondition: It has not ended, or its agent takes no work by hand.
        """
        check_request_id(request)
        self._guard.check_open()
        new_id, now = self._ids.uuid7(), self._clock.now()

        def unit(tx: Transaction, after: After) -> Execution:
            def do() -> Execution:
                old = _get(tx, execution_id)
                return retry_one(tx, after, old, new_id=new_id, now=now, from_step=from_step)

            return once(
                tx, request, now=now, do=do, remember=lambda e: e.id, recall=lambda key: _get(tx, key)
            )

        return await self._commits.run(unit)


def _check(wish: Triggering) -> None:
    check_request_id(wish.request)
    if wish.labels:
        check_labels(wish.labels, field="labels")


def _get(tx: Transaction, execution_id: str) -> Execution:
    execution = tx.executions.get(execution_id)
    if execution is None:
        raise NotFound("execution", execution_id)
    return execution
