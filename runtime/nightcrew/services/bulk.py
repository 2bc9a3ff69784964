"""Cancelling and retrying all executions that a filter finds, in portions, each of them once a request."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from nightcrew.crew.cancels import cancel
from nightcrew.crew.commits import After, Commits
from nightcrew.domain.errors import InvalidArgument, NightcrewError
from nightcrew.domain.execution import FINAL, Execution
from nightcrew.domain.filter import And, Comparison, Expression, Not, Or, Order
from nightcrew.domain.page import ListQuery
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.guard import Guard
from nightcrew.services.once import Request, check_request_id, once
from nightcrew.services.retrying import retry_one

PORTION: Final = 25
"""Executions in one transaction: nobody waits long for the writer."""
PAGE: Final = 500
MAX_TOLD: Final = 20
"""Failures that an answer tells one by one."""
_ENDED: Final[tuple[Expression, ...]] = tuple(
    Comparison("state", "=", state.value, 0) for state in sorted(FINAL)
)
OPEN: Final = Not(Or(_ENDED))
CLOSED: Final = Or(_ENDED)


@dataclass(frozen=True, slots=True)
class Failure:
    """One that could not be done, and why."""

    execution_id: str
    error: NightcrewError


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        matched: How many the filter found in a state in which it can be done.
        done: How many it was done to.
        failures: The first of those to which it could not.
    """

    matched: int = 0
    done: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)


One = Callable[[Transaction, After, Execution, datetime], None]


class BulkService:
    """What callers can do with many executions at once."""

    def __init__(self, *, commits: Commits, reads: Reads, guard: Guard, clock: Clock, ids: Ids) -> None:
        self._commits = commits
        self._reads = reads
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def cancel(
        self, where: Expression | None, *, reason: str, validate_only: bool, request: Request
    ) -> Outcome:
        """Cancels what is found and has not ended, as CancelExecution does.

        Raises:
            InvalidArgument: There is no filter.
        """

        def one(tx: Transaction, after: After, execution: Execution, now: datetime) -> None:
            cancel(tx, after, execution, reason=reason or "cancelled by hand", now=now)

        return await self._all(_both(where, OPEN), one, validate_only=validate_only, request=request)

    async def retry(self, where: Expression | None, *, validate_only: bool, request: Request) -> Outcome:
        """Retries what is found and has ended, as RetryExecution does; what comes of that is not found again.

        Raises:
            InvalidArgument: There is no filter.
            Unavailable: The runtime drains.
        """
        self._guard.check_open()

        def one(tx: Transaction, after: After, execution: Execution, now: datetime) -> None:
            retry_one(tx, after, execution, new_id=after.new_id(), now=now)

        return await self._all(_both(where, CLOSED), one, validate_only=validate_only, request=request)

    async def _all(self, where: And, one: One, *, validate_only: bool, request: Request) -> Outcome:
        check_request_id(request)
        if not request.request_id:
            request = replace(request, request_id=self._ids.uuid7())
        outcome = Outcome()
        began = self._ids.uuid7() if validate_only else await self._began(request)
        async for ids in self._found(where, began):
            outcome.matched += len(ids)
            if validate_only:
                continue
            for at in range(0, len(ids), PORTION):
                await self._portion(ids[at : at + PORTION], one, outcome, request=request)
        return outcome

    async def _began(self, request: Request) -> str:
        """An id made when this request was made first: what came into being later has a greater one."""
        now, made = self._clock.now(), self._ids.uuid7()

        def unit(tx: Transaction, _after: After) -> str:
            return once(tx, request, now=now, do=lambda: made, remember=str, recall=str)

        return await self._commits.run(unit)

    async def _found(self, where: And, began: str) -> AsyncIterator[list[str]]:
        """The ids of what is found, the oldest first, a page at a time; rows that change meanwhile do no harm."""
        older = Comparison("id", "<", began, 0)
        query = ListQuery(
            page_size=PAGE, where=And((*where.terms, older)), order=(Order("create_time", descending=False),)
        )
        while True:
            page = await self._reads.executions(query)
            if page.items:
                yield [one.id for one in page.items]
            if not page.next_page_token:
                return
            query = replace(query, page_token=page.next_page_token)

    async def _portion(self, ids: Sequence[str], one: One, outcome: Outcome, *, request: Request) -> None:
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> list[Failure]:
            return [
                failure
                for execution_id in ids
                if (failure := _do(tx, after, execution_id, one, request=request, now=now)) is not None
            ]

        failures = await self._commits.run(unit)
        outcome.done += len(ids) - len(failures)
        outcome.failed += len(failures)
        outcome.failures += failures[: MAX_TOLD - len(outcome.failures)]


def _do(
    tx: Transaction, after: After, execution_id: str, one: One, *, request: Request, now: datetime
) -> Failure | None:
    """Does it to one execution, once for this request, however often that is repeated."""
    execution = tx.executions.get(execution_id)
    if execution is None:
        return None  # it is kept no more
    own = replace(request, digest="", request_id=str(uuid.uuid5(uuid.UUID(request.request_id), execution_id)))

    def do() -> str:
        one(tx, after, execution, now)
        return execution_id

    try:
        once(tx, own, now=now, do=do, remember=str, recall=str)
    except NightcrewError as error:
        return Failure(execution_id, error)
    return None


def _both(where: Expression | None, state: Expression) -> And:
    if where is None:
        raise InvalidArgument.of(
            "filter", 'is required; to mean all, say so: create_time > "1970-01-01T00:00:00Z"'
        )
    return And((where, state))
