"""Filters that could not be evaluated: counted by agent since the runtime started, after the commits."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FilterFault:
    """How many evaluations of an agent's filters have failed, and what the last one said."""

    count: int = 0
    last: str = ""


NONE = FilterFault()


class FilterFaults:
    """The counts. They are kept in memory alone, as those of restarts are."""

    def __init__(self) -> None:
        self._of: dict[str, FilterFault] = {}

    def add(self, faults: Iterable[tuple[str, str, str]]) -> None:
        """Counts faults: (agent, trigger, what was said)."""
        for agent_id, trigger_id, said in faults:
            before = self._of.get(agent_id, NONE)
            last = f"{trigger_id}: {said}"
            if last != before.last:
                log.warning(
                    "a filter can't be evaluated", agent_id=agent_id, trigger_id=trigger_id, error=said
                )
            self._of[agent_id] = FilterFault(before.count + 1, last)

    def of(self, agent_id: str) -> FilterFault:
        """An agent's count."""
        return self._of.get(agent_id, NONE)
