"""The use cases of schedules: previews of what will fire, and the ledger of what did."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.fire import Fire, Skip
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads

DEFAULT_COUNT: Final = 10
MAX_COUNT: Final = 1000


@dataclass(frozen=True, slots=True)
class Previewed:
    """One coming fire; `note` says why DST moved it or dropped one before it."""

    nominal_time: datetime
    note: str


class ScheduleService:
    """What callers can ask about schedules."""

    def __init__(self, *, reads: Reads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock

    async def saved(self, agent_id: str, trigger_id: str) -> Schedule:
        """The schedule of a trigger.

        Raises:
            NotFound: No such agent or trigger.
            FailedPrecondition: The trigger is no schedule.
        """
        agent = await self._reads.agent(agent_id)
        if agent is None:
            raise NotFound("agent", agent_id)
        return schedule_of(agent, trigger_id)

    async def preview_saved(
        self, agent_id: str, trigger_id: str, *, after: datetime | None, count: int
    ) -> list[Previewed]:
        """The next fires of an agent's schedule, with those that will be skipped marked as such.

        Raises:
            NotFound: No such agent or trigger.
            FailedPrecondition: The trigger is no schedule.
        """
        found = self.preview(await self.saved(agent_id, trigger_id), after=after, count=count)
        skips = {
            skip.nominal_time: skip
            for skip in await self._reads.skips([agent_id])
            if skip.trigger_id == trigger_id
        }
        return [_marked(one, skips[one.nominal_time]) if one.nominal_time in skips else one for one in found]

    def preview(self, schedule: Schedule, *, after: datetime | None, count: int) -> list[Previewed]:
        """The next fires of a schedule after a moment (now, if none is given).

        Raises:
            InvalidArgument: The schedule or the count is wrong; field paths begin with `schedule`.
        """
        if count < 0:
            raise InvalidArgument.of("count", f"must not be negative, is {count}; 0 is {DEFAULT_COUNT}")
        try:
            compiled = compile_schedule(schedule)
        except InvalidArgument as error:
            raise error.within("schedule") from error
        found: list[Previewed] = []
        instant = after or self._clock.now()
        for _ in range(min(count, MAX_COUNT) or DEFAULT_COUNT):
            following = compiled.next_after(instant)
            if following is None:
                break
            found.append(Previewed(following, compiled.note(instant, following)))
            instant = following
        return found

    async def fires(self, query: ListQuery) -> Page[Fire]:
        """A page of the ledger."""
        return await self._reads.fires(query)


def schedule_of(agent: Agent, trigger_id: str) -> Schedule:
    """The schedule of an agent's trigger.

    Raises:
        NotFound: No such trigger.
        FailedPrecondition: The trigger is no schedule.
    """
    trigger = agent.spec.trigger(trigger_id)
    if trigger is None:
        raise NotFound("trigger", f"{agent.id}/{trigger_id}")
    if trigger.schedule is None:
        raise FailedPrecondition(
            f"trigger {trigger_id!r} of agent {agent.id!r} is of the kind {trigger.kind}, not a schedule",
            subject=f"agents/{agent.id}/triggers/{trigger_id}",
            code="not_a_schedule",
        )
    return trigger.schedule


def _marked(one: Previewed, skip: Skip) -> Previewed:
    note = f"skipped by request: {skip.reason}" if skip.reason else "skipped by request"
    return Previewed(one.nominal_time, f"{note}; {one.note}" if one.note else note)
