"""What an agent does now: counts, next fires, the last execution, restarts."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from nightcrew.crew.filter_faults import NONE, FilterFault
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.budget import limits_of, window
from nightcrew.domain.errors import NotFound
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.schedule.catch_up import passed
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.limits import Per
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import AgentFigures, LastExecution, Reads
from nightcrew.services.cursors import schedules_of

OVERDUE_AFTER: Final = timedelta(minutes=1)
"""A time that is due and undecided for longer than this is overdue."""


@dataclass(frozen=True, slots=True)
class NextFire:
    """The next nominal time of one trigger."""

    trigger_id: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUsage:
    """How far an agent is with one of its limits; `used` and `max` in what people see."""

    name: str
    per: Per
    used: float
    max: float
    window_end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """The status of one agent."""

    running_count: int = 0
    queued_count: int = 0
    next_fires: list[NextFire] = field(default_factory=list)
    last_execution: LastExecution | None = None
    restarts: int = 0
    consecutive_failures: int = 0
    overdue_count: int = 0
    filter_fault: FilterFault = NONE
    limits: list[LimitUsage] = field(default_factory=list)


class StatusService:
    """Reads the statuses of agents."""

    def __init__(
        self,
        *,
        reads: Reads,
        restarts: Callable[[str], int],
        filter_faults: Callable[[str], FilterFault],
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._restarts = restarts
        self._filter_faults = filter_faults
        self._clock = clock

    async def of(self, agent_id: str) -> tuple[Agent, AgentStatus]:
        """An agent with its status.

        Raises:
            NotFound: There is no such agent.
        """
        agent = await self._reads.agent(agent_id)
        if agent is None:
            raise NotFound("agent", agent_id)
        return agent, (await self.of_all([agent]))[agent_id]

    async def of_all(self, agents: Sequence[Agent]) -> dict[str, AgentStatus]:
        """The statuses of several agents."""
        ids = [agent.id for agent in agents]
        figures = await self._reads.figures(ids)
        scheduled = [agent.id for agent in agents if agent.state is AgentState.ACTIVE and schedules_of(agent)]
        cursors = await self._reads.cursors(scheduled) if scheduled else {}
        skipped: dict[str, set[tuple[str, datetime]]] = {}
        for skip in await self._reads.skips(scheduled) if scheduled else ():
            skipped.setdefault(skip.agent_id, set()).add((skip.trigger_id, skip.nominal_time))
        limited = [agent.id for agent in agents if agent.spec.limits is not None]
        usage = await self._reads.usage(limited) if limited else {}
        return {
            agent.id: self._status(
                agent,
                figures.get(agent.id, AgentFigures()),
                cursors.get(agent.id, ()),
                skipped.get(agent.id, frozenset()),
                usage.get(agent.id, {}),
            )
            for agent in agents
        }

    def _status(
        self,
        agent: Agent,
        figures: AgentFigures,
        cursors: Sequence[ScheduleCursor],
        skipped: AbstractSet[tuple[str, datetime]],
        usage: Mapping[str, tuple[datetime, int]],
    ) -> AgentStatus:
        return AgentStatus(
            running_count=figures.running,
            queued_count=figures.queued,
            next_fires=_next_fires(agent, cursors, skipped),
            last_execution=figures.last_execution,
            restarts=self._restarts(agent.id),
            consecutive_failures=agent.consecutive_failures,
            limits=_limits(agent, usage, self._clock.now()),
            filter_fault=self._filter_faults(agent.id),
            overdue_count=_overdue(agent, cursors, self._clock.now() - OVERDUE_AFTER),
        )


def _limits(agent: Agent, usage: Mapping[str, tuple[datetime, int]], now: datetime) -> list[LimitUsage]:
    """How far it is with each limit, in the window that is now."""
    found = []
    for limit in limits_of(agent.spec.limits) if agent.spec.limits is not None else ():
        start, end = window(limit.per, now)
        since, used = usage.get(limit.counter, (start, 0))
        found.append(
            LimitUsage(
                name=limit.name,
                per=limit.per,
                used=(used if since >= start else 0) / limit.scale,
                max=limit.most / limit.scale,
                window_end=end,
            )
        )
    return found


def _overdue(agent: Agent, cursors: Sequence[ScheduleCursor], before: datetime) -> int:
    """How many times were due before a moment and are not decided, over all schedules."""
    schedules = schedules_of(agent)
    count = 0
    for cursor in cursors:
        schedule = schedules.get(cursor.trigger_id)
        known = cursor.next_time is not None and cursor.next_time > before
        if schedule is None or cursor.exhausted or known:
            continue
        since = max(cursor.cursor, agent.state_time)
        compiled = compile_schedule(schedule)
        gone = passed(compiled, since, before, agent_id=agent.id, trigger_id=cursor.trigger_id)
        if gone is not None:
            left = compiled.max_fires - cursor.fires if compiled.max_fires else gone.count
            count += min(gone.count, left)
    return count


def _next_fires(
    agent: Agent, cursors: Sequence[ScheduleCursor], skipped: AbstractSet[tuple[str, datetime]]
) -> list[NextFire]:
    """The next time of each schedule that is not to be skipped."""
    schedules = schedules_of(agent)
    found = []
    for cursor in cursors:
        schedule = schedules.get(cursor.trigger_id)
        if schedule is None or cursor.exhausted:
            continue
        after = max(cursor.cursor, agent.state_time)
        time = cursor.next_time if cursor.next_time and cursor.next_time > after else None
        time = time or compile_schedule(schedule).next_after(after)
        while time is not None and (cursor.trigger_id, time) in skipped:
            time = compile_schedule(schedule).next_after(time)
        if time is not None:
            found.append(NextFire(cursor.trigger_id, time))
    return sorted(found, key=lambda fire: fire.time)
