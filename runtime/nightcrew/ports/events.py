"""The event log and what it wakes, as ports: the log, the triggers by what they match on, lags, chains."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightcrew.domain.event import Event, NewEvent
from nightcrew.domain.event_call import EventCall
from nightcrew.domain.lag import Lag


class EventTable(Protocol):
    """The event log, within a transaction."""

    def append(self, event: NewEvent) -> int:
        """Adds an event and returns its sequence."""

    def newest(self) -> int:
        """The newest sequence that an event was ever given; 0 if none was."""

    def matching(self, types: Sequence[str], *, after: int, until: int, limit: int) -> list[Event]:
        """Events in (after, until] that may trigger and are of one of the types, in order.

        Args:
            types: Exact, or prefixes with `*` at their ends.
            after: The last sequence that is not looked at.
            until: The last one that is.
            limit: How many at most; fewer, but one at least, where their data are large.
        """

    def published(self, source: str, event_id: str, *, since: datetime) -> int | None:
        """The sequence of the event of that source and id that was received at or after `since`, if one was."""

    def remember(self, source: str, event_id: str, *, sequence: int, now: datetime) -> None:
        """Notes that a published event was received now."""

    def forget(self, *, before: datetime, limit: int) -> int:
        """Deletes notes of events received before; returns how many."""


class EventTriggerTable(Protocol):
    """The event triggers of agents that take events, within a transaction; kept in step as agents are written."""

    def candidates(self, kind: str, source: str) -> Sequence[tuple[str, str]]:
        """(agent, trigger) of those whose types and source match an event's; costs next to nothing if none do."""


class LagTable(Protocol):
    """Triggers that lag, within a transaction."""

    def is_open(self, agent_id: str, trigger_id: str) -> bool | None:
        """Whether what comes belongs to the trigger's last part; None if nothing of it waits to be given out."""

    def lagging(self, agent_id: str) -> bool:
        """Whether a trigger of the agent has events to be given; costs next to nothing."""

    def begin(self, lag: Lag) -> None:
        """Adds a part."""

    def of(self, agent_id: str) -> list[Lag]:
        """The parts of an agent, in their order."""

    def agents(self) -> list[str]:
        """The agents that have parts, dropped ones included."""

    def behind(self, sequence: int) -> list[Lag]:
        """The parts whose cursor is before a sequence."""

    def advance(self, lag: Lag, *, cursor: int) -> None:
        """Writes how far a part has got."""

    def end(self, lag: Lag) -> None:
        """Removes a part."""

    def close(self, agent_id: str, trigger_id: str, *, until: int) -> None:
        """Ends the open part of a trigger at a sequence: what comes after does not belong to it."""

    def drop(self, agent_id: str, trigger_id: str = "", *, until: int, reason: str) -> None:
        """Has what waits of a trigger (of all triggers of the agent) up to a sequence dropped, for a reason."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Where an execution stands: the first event of its chain, and how many executions deep it is."""

    root_sequence: int
    depth: int


class ChainTable(Protocol):
    """Chains of executions that events have caused, within a transaction."""

    def of(self, execution_id: str) -> Chain | None:
        """Where an execution stands; None if no event caused it, or it is gone."""

    def count(self, root_sequence: int) -> int:
        """How many executions a chain has had."""

    def add(self, root_sequence: int, count: int) -> None:
        """Counts executions of a chain."""


class EventCallTable(Protocol):
    """Events on their way to the many that wait for them, within a transaction."""

    def begin(self, call: EventCall) -> None:
        """Adds one."""

    def first(self) -> EventCall | None:
        """The one whose turn it is; costs next to nothing if there is none."""

    def of(self, awaited: str) -> list[EventCall]:
        """Those for one type or prefix, in order; costs next to nothing if there are none."""

    def move(self, call: EventCall, cursor: int) -> None:
        """It has come so far."""

    def end(self, call: EventCall) -> None:
        """It has come to its end."""
