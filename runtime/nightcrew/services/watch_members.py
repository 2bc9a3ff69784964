"""Which events belong to the agents that a watch selects, in the order of the log."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nightcrew.domain.event import AGENT_CREATED, AGENT_DELETED, AGENT_UPDATED, Event
from nightcrew.domain.values import decode
from nightcrew.ports.reads import Reads
from nightcrew.services.watch_items import AgentSelection

KEPT: Final = 4096
"""Agents whose membership is remembered; past it the memory starts anew."""
_TELLS_LABELS: Final = frozenset({AGENT_CREATED, AGENT_UPDATED, AGENT_DELETED})


class Members:
    """Decides event by event. Labels come from the agents' own events, so that a deleted agent's count too."""

    def __init__(self, selection: AgentSelection, reads: Reads) -> None:
        self._selection = selection
        self._reads = reads
        self._known: dict[str, bool] = {}

    async def chosen(self, events: Sequence[Event]) -> list[Event]:
        """Those of the events that are about selected agents.

        An agent that an update takes out of the selection is told of once more: by that update.
        """
        selection = self._selection
        named = [event for event in events if selection.names(event.agent_id)]
        if not selection.selector:
            return named
        await self._look_up(named)
        found = []
        for event in named:
            belongs = self._known.get(event.agent_id, False)
            if event.type in _TELLS_LABELS:
                before, after = _labels(event)
                self._known[event.agent_id] = selection.fits(after)
                belongs = selection.fits(before) or selection.fits(after)
            if belongs:
                found.append(event)
        return found

    async def _look_up(self, events: Sequence[Event]) -> None:
        if len(self._known) > KEPT:
            self._known.clear()
        unknown = {event.agent_id for event in events} - self._known.keys()
        # What the batch itself tells need not be asked for.
        for event in events:
            if event.type == AGENT_CREATED:
                unknown.discard(event.agent_id)
        if unknown:
            for agent_id, agent in (await self._reads.agents_by_id(sorted(unknown))).items():
                self._known[agent_id] = self._selection.fits(agent.labels)


def _labels(event: Event) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The agent's labels before and after the event."""
    data: dict[str, Any] = decode(event.data)
    after: Mapping[str, str] = data.get("labels", {})
    before: Mapping[str, str] = data.get("labels_before", after)
    return before, after
