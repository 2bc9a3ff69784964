"""The use cases of skips: one nominal time is named in advance, and taken back while it is not due."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.agent import Agent
from nightcrew.domain.durations import format_instant
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.fire import Fire, FireOutcome, Skip
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.schedule.plan import Plan
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction
from nightcrew.services.agents import existing
from nightcrew.services.once import Request, check_request_id, once
from nightcrew.services.schedules import schedule_of

_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NominalTime:
    """Which time of which schedule is meant."""

    agent_id: str
    trigger_id: str
    nominal_time: datetime

    @property
    def name(self) -> str:
        """How errors name it."""
        return f"{self.agent_id}/{self.trigger_id}/{format_instant(self.nominal_time)}"


class SkipService:
    """What callers can leave out. Each call is one unit of the writer, as every fire is: neither is half done."""

    def __init__(self, *, commits: Commits, clock: Clock) -> None:
        self._commits = commits
        self._clock = clock

    async def skip(self, one: NominalTime, *, reason: str, request: Request) -> Fire:
        """Leaves a nominal time out; answers the row that it will have in the ledger once it is due.

        Raises:
            NotFound: No such agent or trigger.
            InvalidArgument: It is no nominal time of the schedule.
            FailedPrecondition: `fire_decided`: it is due or decided already; or the trigger is no schedule.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Fire:
            def do() -> Fire:
                plan = _check(tx, one)
                if not _is_nominal(plan, one.nominal_time):
                    raise InvalidArgument.of("nominal_time", _not_nominal(plan, one))
                _check_ahead(tx, plan, one, now=now)
                skip = Skip(
                    agent_id=one.agent_id,
                    trigger_id=one.trigger_id,
                    nominal_time=one.nominal_time,
                    create_time=now,
                    reason=reason,
                )
                tx.skips.put(skip)
                after.schedules.append(one.agent_id)
                return _row(skip)

            return once(
                tx,
                request,
                now=now,
                do=do,
                remember=lambda fire: fire.reason,
                recall=lambda text: _row(
                    Skip(
                        agent_id=one.agent_id,
                        trigger_id=one.trigger_id,
                        nominal_time=one.nominal_time,
                        create_time=now,
                        reason=text,
                    )
                ),
            )

        return await self._commits.run(unit)

    async def unskip(self, one: NominalTime, *, request: Request) -> None:
        """Takes a skip back.

        Raises:
            NotFound: No such agent or trigger, or that time is not skipped.
            FailedPrecondition: `fire_decided`: it is due or decided already.
        """
        check_request_id(request)
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> str:
            def do() -> str:
                plan = _check(tx, one)
                if tx.skips.get(one.agent_id, one.trigger_id, one.nominal_time) is None:
                    row = tx.fires.covering(one.agent_id, one.trigger_id, one.nominal_time)
                    if row is None or row.outcome is not FireOutcome.SKIPPED_BY_REQUEST:
                        raise NotFound("skip", one.name)
                _check_ahead(tx, plan, one, now=now)
                tx.skips.remove(one.agent_id, one.trigger_id, one.nominal_time)
                after.schedules.append(one.agent_id)
                return ""

            return once(tx, request, now=now, do=do, remember=str, recall=str)

        await self._commits.run(unit)


def _check(tx: Transaction, one: NominalTime) -> Plan:
    agent: Agent = existing(tx, one.agent_id)
    return compile_schedule(schedule_of(agent, one.trigger_id))


def _is_nominal(plan: Plan, time: datetime) -> bool:
    return plan.next_after(time - _MICRO) == time


def _not_nominal(plan: Plan, one: NominalTime) -> str:
    before = plan.latest_at_or_before(one.nominal_time)
    behind = plan.next_after(one.nominal_time)
    near = " and ".join(format_instant(time) for time in (before, behind) if time is not None)
    beside = f"; beside it are {near}" if near else ""
    return f"{format_instant(one.nominal_time)} is no time of trigger {one.trigger_id!r}{beside}"


def _check_ahead(tx: Transaction, plan: Plan, one: NominalTime, *, now: datetime) -> None:
    """Whether a nominal time lies ahead and is not decided yet."""
    cursor = tx.fires.cursor(one.agent_id, one.trigger_id)
    decided = cursor is not None and one.nominal_time <= cursor.cursor
    row = tx.fires.covering(one.agent_id, one.trigger_id, one.nominal_time)
    due = plan.due_time(one.nominal_time, one.agent_id, one.trigger_id) <= now
    if not (decided or due or row):
        return
    what = f"became {row.outcome.value.removeprefix('OUTCOME_')}" if row else "is due already"
    raise FailedPrecondition(
        f"{format_instant(one.nominal_time)} of trigger {one.trigger_id!r} {what}; only a time to come can be"
        " skipped or taken back",
        subject=f"agents/{one.agent_id}/triggers/{one.trigger_id}",
        code="fire_decided",
    )


def _row(skip: Skip) -> Fire:
    return Fire(
        agent_id=skip.agent_id,
        trigger_id=skip.trigger_id,
        nominal_time=skip.nominal_time,
        last_nominal_time=skip.nominal_time,
        actual_time=skip.create_time,
        outcome=FireOutcome.SKIPPED_BY_REQUEST,
        reason=skip.reason,
    )
