"""Times computed ahead: when a crowd will be due at once, nobody in it waits for the others' next times."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import structlog

from nightcrew.crew.commits import Commits
from nightcrew.crew.firing import Key
from nightcrew.domain.agent import Agent
from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import InvalidArgument, Unavailable
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.schedule.catch_up import Known, foresee
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.ports.store import Transaction

AHEAD: Final = timedelta(seconds=1)
"""How long before they are due times are computed."""
CROWD: Final = 50
"""Fewer that are due together are planned as they fire."""
_SLICE: Final = 50
"""After how many the loop gets its turn."""

Entry = tuple[int, int, Key]

log = structlog.get_logger(__name__)


class Foresight:
    """What a crowd's looks will need to know. It is a hint: each look checks that it fits what it finds."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._known: dict[Key, Known] = {}
        self._until = 0

    def take(self, keys: Iterable[Key]) -> dict[Key, Known]:
        """What was computed for some schedules, once."""
        return {key: self._known.pop(key) for key in keys if key in self._known}

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
        try:
            for start in range(0, len(soon), _SLICE):
                await self._compute(soon[start : start + _SLICE])
        except Unavailable as error:
            log.warning("times are not computed ahead: the store failed", error=error.message)

    async def _compute(self, keys: Sequence[Key]) -> None:
        for agent, trigger_id, cursor in await self._commits.run(lambda tx, _after: _read(tx, keys)):
            trigger = agent.spec.trigger(trigger_id)
            if trigger is None or trigger.schedule is None:
                continue
            try:
                known = foresee(compile_schedule(trigger.schedule), cursor.cursor)
            except (InvalidArgument, ArithmeticError, ValueError):
                continue  # the look meets the same fault, and tells it
            self._known[agent.id, trigger_id] = known


def _read(tx: Transaction, keys: Sequence[Key]) -> list[tuple[Agent, str, ScheduleCursor]]:
    """What the looks will ask. It is asked of the writer, which then has the agents at hand."""
    found = []
    for agent_id, trigger_id in keys:
        agent, cursor = tx.agents.get(agent_id), tx.fires.cursor(agent_id, trigger_id)
        if agent is not None and cursor is not None:
            tx.agents.memory(agent_id)
            found.append((agent, trigger_id, cursor))
    return found


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
