"""Times computed ahead: when a crowd will be due at once, nobody in it waits for the others' next times."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from nightcrew.domain.agent import Agent
from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.schedule.catch_up import Known, foresee
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.ports.reads import Reads

AHEAD: Final = timedelta(seconds=1)
"""How long before they are due times are computed."""
CROWD: Final = 50
"""Fewer that are due together are planned as they fire."""
_SLICE: Final = 50
"""After how many the loop gets its turn."""

Key = tuple[str, str]
Entry = tuple[int, int, Key]


class Foresight:
    """What a crowd's looks will need to know. It is a hint: each look checks that it fits what it finds."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._known: dict[Key, Known] = {}
        self._until = 0

    def take(self, key: Key) -> Known | None:
        """What was computed for a schedule, once."""
        return self._known.pop(key, None)

    async def look_ahead(self, heap: Sequence[Entry], now: int) -> None:
        """Computes the times of those that are due soon, if they are a crowd; at most twice a second.

        Args:
            heap: When schedules are to be looked at, as a binary heap.
            now: Microseconds since 1970.
        """
        span = AHEAD // timedelta(microseconds=1)
        if now + span // 2 < self._until <= now + span:
            return
        self._until = now + span
        soon = [key for key in _due_by(heap, self._until) if key not in self._known]
        if len(soon) < CROWD:
            return
        self._known = {key: known for key, known in self._known.items() if _ahead(known, now)}
        for start in range(0, len(soon), _SLICE):
            await self._compute(soon[start : start + _SLICE])
            await asyncio.sleep(0)

    async def _compute(self, keys: Sequence[Key]) -> None:
        ids = list({agent_id for agent_id, _ in keys})
        agents = await self._reads.agents_by_id(ids)
        cursors = await self._reads.cursors(ids)
        for agent_id, trigger_id in keys:
            agent = agents.get(agent_id)
            if agent is not None:
                self._foresee(agent, trigger_id, cursors[agent_id])

    def _foresee(self, agent: Agent, trigger_id: str, cursors: Iterable[ScheduleCursor]) -> None:
        trigger = agent.spec.trigger(trigger_id)
        cursor = next((one for one in cursors if one.trigger_id == trigger_id), None)
        if trigger is None or trigger.schedule is None or cursor is None:
            return
        try:
            self._known[agent.id, trigger_id] = foresee(compile_schedule(trigger.schedule), cursor.cursor)
        except (InvalidArgument, ArithmeticError, ValueError):
            return  # the look meets the same fault, and tells it


def _due_by(heap: Sequence[Entry], moment: int) -> list[Key]:
    """The keys of a heap that are due up to a moment; visits no more than those and their children."""
    found: list[Key] = []
    places = [0]
    while places:
        place = places.pop()
        if place < len(heap) and heap[place][0] <= moment:
            found.append(heap[place][2])
            places += (2 * place + 1, 2 * place + 2)
    return found


def _ahead(known: Known, now: int) -> bool:
    return known.first is not None and to_micros(known.first) >= now
