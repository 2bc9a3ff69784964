"""The use cases of backfills: begin one, look at it, cancel it. The backfiller does the rest."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nightcrew.crew.backfills import end_backfill
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.facts import backfill_fact
from nightcrew.domain.backfill import Backfill, BackfillEvent, check_range, effective
from nightcrew.domain.errors import NotFound
from nightcrew.domain.event import BACKFILL_STARTED
from nightcrew.domain.lifecycle.agent import ACCEPTS_MANUAL, refused
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.agents import existing
from nightcrew.services.guard import Guard
from nightcrew.services.once import Request, check_request_id, once
from nightcrew.services.schedules import schedule_of

_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be run after all: the nominal times in [from_time, to_time]."""

    agent_id: str
    trigger_id: str
    from_time: datetime
    to_time: datetime
    overlap: OverlapPolicy = OverlapPolicy.UNSPECIFIED


class BackfillService:
    """What callers can do with backfills."""

    def __init__(self, *, commits: Commits, reads: Reads, guard: Guard, clock: Clock, ids: Ids) -> None:
        self._commits = commits
        self._reads = reads
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def begin(self, wish: Wish, *, request: Request) -> Backfill:
        """Begins a backfill; it is on disk when this returns.

        Raises:
            NotFound: No such agent or trigger.
            InvalidArgument: The range is turned round, older than the ledger, or lies ahead.
            FailedPrecondition: The agent is neither ACTIVE nor PAUSED, or the trigger is no schedule.
        """
        check_request_id(request)
        self._guard.check_open()
        backfill_id, now = self._ids.uuid7(), self._clock.now()

        def unit(tx: Transaction, after: After) -> Backfill:
            return once(
                tx,
                request,
                now=now,
                do=lambda: _begin(tx, after, wish, backfill_id, now=now),
                remember=lambda backfill: backfill.id,
                recall=lambda key: _get(tx, key),
            )

        return await self._commits.run(unit)

    async def get(self, backfill_id: str) -> Backfill:
        """The backfill.

        Raises:
            NotFound: There is no such backfill.
        """
        backfill = await self._reads.backfill(backfill_id)
        if backfill is None:
            raise NotFound("backfill", backfill_id)
        return backfill

    async def page(self, query: ListQuery) -> Page[Backfill]:
        """A page of backfills."""
        return await self._reads.backfills(query)

    async def cancel(self, backfill_id: str, *, reason: str, request: Request) -> Backfill:
        """Ends a backfill: what it started runs on; one that has ended stays as it is.

        Raises:
            NotFound: There is no such backfill.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Backfill:
            def do() -> Backfill:
                why = reason or "cancelled by hand"
                event = BackfillEvent.CANCEL
                return end_backfill(tx, after, _get(tx, backfill_id), event, now=now, reason=why)

            return once(
                tx, request, now=now, do=do, remember=lambda b: b.id, recall=lambda key: _get(tx, key)
            )

        return await self._commits.run(unit)


def _begin(tx: Transaction, after: After, wish: Wish, backfill_id: str, *, now: datetime) -> Backfill:
    agent = existing(tx, wish.agent_id)
    schedule = compile_schedule(schedule_of(agent, wish.trigger_id))
    check_range(wish.from_time, wish.to_time, now=now)
    if agent.state not in ACCEPTS_MANUAL:
        raise refused("backfill", agent.state, ACCEPTS_MANUAL, agent_id=agent.id)
    before = wish.from_time - _MICRO
    backfill = Backfill(
        id=backfill_id,
        agent_id=agent.id,
        trigger_id=wish.trigger_id,
        from_time=wish.from_time,
        to_time=wish.to_time,
        overlap=effective(wish.overlap),
        cursor=before,
        total=schedule.count(before, wish.to_time),
        create_time=now,
        generation=agent.generation,
        spec=agent.spec,
    )
    tx.backfills.insert(backfill)
    after.append(tx, backfill_fact(BACKFILL_STARTED, backfill, now=now))
    after.backfills = True
    return backfill


def _get(tx: Transaction, backfill_id: str) -> Backfill:
    backfill = tx.backfills.get(backfill_id)
    if backfill is None:
        raise NotFound("backfill", backfill_id)
    return backfill
