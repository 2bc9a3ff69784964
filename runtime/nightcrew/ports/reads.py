"""Reads beside the writer, as a port: each sees what is committed when it starts."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.backfill import Backfill
from nightcrew.domain.delivery import Delivery
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution, ExecutionState
from nightcrew.domain.fire import Fire, ScheduleCursor, Skip
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Step
from nightcrew.ports.deliveries import DeliveryReads
from nightcrew.ports.retention import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class LastExecution:
    """The newest execution of an agent that has ended; one that never began has no start."""

    id: str
    state: ExecutionState
    end_time: datetime
    start_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFigures:
    """What an agent's status counts."""

    running: int = 0
    queued: int = 0
    last_execution: LastExecution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """What GetRuntime counts."""

    agent_counts: Mapping[AgentState, int]
    running: int
    queued: int
    sequence: int


class Reads(DeliveryReads, Protocol):
    """Reads beside the writer; each sees what is committed when it starts."""

    async def agent(self, agent_id: str) -> Agent | None:
        """The agent, or None."""

    async def agents(self, query: ListQuery) -> Page[Agent]:
        """A page of agents.

        Fields of `where`: id, display_name, state, generation, create_time, update_time, labels.KEY, program.
        Order: create_time, update_time, id (default: create_time desc).
        """

    async def usage(self, agent_ids: Sequence[str]) -> dict[str, dict[str, tuple[datetime, int]]]:
        """Of these agents' counters: since when they count, and the sum."""

    async def agents_with_pools(self) -> list[str]:
        """The ids of agents that are not STOPPED and take from pools."""

    async def agents_with_sources(self) -> list[Agent]:
        """Agents that are not STOPPED and have a trigger that takes events from a broker."""

    async def agents_by_id(self, agent_ids: Sequence[str]) -> dict[str, Agent]:
        """Those of the given agents that exist."""

    async def hook_secrets(self, agent_id: str, trigger_id: str) -> tuple[str, ...]:
        """The secrets of a webhook trigger; none if it has none.

        Raises:
            SecretUnavailable: They don't open: the key is gone or is another.
        """

    async def check_secrets(self) -> None:
        """Whether the secrets of hooks open: tried with the first thousand.

        Raises:
            SecretUnavailable: Some do not; says why.
        """

    async def execution(self, execution_id: str) -> Execution | None:
        """The execution, or None."""

    async def executions(self, query: ListQuery) -> Page[Execution]:
        """A page of executions.

        Fields of `where`: id, agent_id, state, trigger.kind, trigger.trigger_id, attempt, priority,
        create_time, start_time, end_time, error.type, labels.KEY.
        Order: create_time, end_time, priority (default: create_time desc).
        """

    async def execution_ids(self, agent_id: str, *, limit: int, offset: int) -> tuple[list[str], int]:
        """The ids of an agent's executions, the newest first, after the first `offset`; and how many it has."""

    async def executions_by_id(self, execution_ids: Sequence[str]) -> dict[str, Execution]:
        """Those of the given executions that exist."""

    async def ended(self, *, after: str, keep: int, limit: int) -> list[Ended]:
        """Agents with executions that have ended, by id, from after an id.

        Args:
            after: The id.
            keep: How many executions of an agent are to be kept.
            limit: How many agents at most.
        """

    async def fires(self, query: ListQuery) -> Page[Fire]:
        """A page of the ledger.

        Fields of `where`: agent_id, trigger_id, outcome, nominal_time, actual_time, execution_id.
        Order: nominal_time (default: desc).
        """

    async def skips(self, agent_ids: Sequence[str]) -> list[Skip]:
        """The skips of these agents, by agent, trigger and nominal time."""

    async def backfill(self, backfill_id: str) -> Backfill | None:
        """The backfill, or None."""

    async def backfills(self, query: ListQuery) -> Page[Backfill]:
        """A page of backfills.

        Fields of `where`: id, agent_id, trigger_id, state, create_time, end_time.
        Order: create_time, end_time (default: create_time desc).
        """

    async def events(self, query: ListQuery) -> Page[Event]:
        """A page of the event log.

        Fields of `where`: sequence, id, source, type, subject, time, agent_id, execution_id, cause_sequence,
        actor, extensions.KEY.
        Order: sequence (default: desc).
        """

    async def deliveries(self, query: ListQuery) -> Page[Delivery]:
        """A page of outbound deliveries that were not taken.

        Fields of `where`: hook, sequence, event_type, state, attempts, status, create_time, next_attempt_time.
        Order: create_time, next_attempt_time, sequence (default: create_time desc).
        """

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Events with a greater sequence, in order: at most `limit`, fewer where their data are large."""

    async def event_counts(self, after: int, until: int) -> dict[str, int]:
        """How many events of each type have a sequence greater than `after` and not greater than `until`."""

    async def event_bounds(self) -> tuple[int, int]:
        """(oldest sequence kept, newest sequence ever given); (newest + 1, newest) when none is kept."""

    async def progress(self, execution_id: str) -> Progress | None:
        """How far an execution has got; None if its program has not said."""

    async def logs_after(self, execution_id: str, sequence: int, *, limit: int) -> list[LogEntry]:
        """An execution's entries with a greater sequence, in order."""

    async def steps_after(self, execution_id: str, place: int, *, limit: int) -> list[tuple[int, Step]]:
        """An execution's journal from after a place, with the places of its entries, in the order they began."""

    async def figures(self, agent_ids: Sequence[str]) -> dict[str, AgentFigures]:
        """What the statuses of these agents count."""

    async def store_figures(self) -> StoreFigures:
        """What GetRuntime counts."""

    async def cursors(self, agent_ids: Sequence[str]) -> dict[str, list[ScheduleCursor]]:
        """The schedule cursors of these agents."""

    def active_cursors(self) -> AsyncIterator[Sequence[tuple[Agent, Sequence[ScheduleCursor]]]]:
        """Every ACTIVE agent that has schedule cursors, with them, in batches: what a start plans."""
