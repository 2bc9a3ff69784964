"""The store as a port: units of work on a transaction, and reads beside it.

A unit of work is a synchronous function over a `Transaction`. It runs in the writer's thread under a
savepoint, may be run again, and is pure but for its SQL. Many callers' units share one commit; a caller is
answered after its commit. An error that a unit raises undoes that unit alone and reaches its caller.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from nightcrew.domain.agent import Agent, AgentSource, AgentState
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, Occupancy
from nightcrew.domain.step import Wait
from nightcrew.ports.deliveries import OutboundTable
from nightcrew.ports.events import ChainTable, EventCallTable, EventTable, EventTriggerTable, LagTable
from nightcrew.ports.fires import BackfillTable, FireTable, SkipTable
from nightcrew.ports.gates import KeyTable, PoolTable
from nightcrew.ports.hooks import HookTable
from nightcrew.ports.logs import LogTable
from nightcrew.ports.reads import Reads
from nightcrew.ports.requests import RequestTable
from nightcrew.ports.residents import ResidentTable
from nightcrew.ports.retention import RetentionTable
from nightcrew.ports.signal_urls import SignalUrlTable
from nightcrew.ports.steps import StepTable
from nightcrew.ports.usage import UsageTable

T = TypeVar("T")


class AgentTable(Protocol):
    """Agents, within a transaction."""

    def get(self, agent_id: str) -> Agent | None:
        """The agent, or None."""

    def insert(self, agent: Agent) -> None:
        """Adds an agent; raises AlreadyExists if its id is taken."""

    def save(self, agent: Agent, *, revision: int) -> bool:
        """Writes all fields of an agent whose revision in the store is still `revision`; False if it is not."""

    def rewind(self, now: datetime) -> None:
        """State times ahead of now become now (the clock was set back); no revision changes."""

    def set_failures(self, agent_id: str, count: int) -> None:
        """Writes the count of consecutive failures; no revision changes."""

    def delete(self, agent_id: str) -> bool:
        """Deletes the agent with its executions, logs, ledger and all else that is its own.

        Events stay.
        """

    def ids(
        self, *, states: Sequence[AgentState] = (), selector: Mapping[str, str] | None = None
    ) -> list[str]:
        """The ids, sorted, of agents in one of the states (none given: any) whose labels hold the selector."""

    def memory(self, agent_id: str) -> str | None:
        """The JSON text of `ctx.state`, or None if nothing was saved."""

    def set_memory(self, agent_id: str, memory: str) -> None:
        """Saves `ctx.state`."""

    def source(self, agent_id: str) -> AgentSource | None:
        """Which file it came from (kept also after a deletion by hand)."""

    def set_source(self, source: AgentSource) -> None:
        """Adds or replaces the source of an agent."""

    def drop_source(self, agent_id: str) -> None:
        """Forgets the source of an agent."""

    def sources(self) -> list[AgentSource]:
        """Every known source."""


class ExecutionTable(Protocol):
    """Executions, within a transaction. Every write for a run is guarded by its lease and state."""

    def get(self, execution_id: str) -> Execution | None:
        """The execution, or None."""

    def insert(self, execution: Execution) -> None:
        """Adds an execution."""

    def occupancy(self, agent_id: str, *, cap: int = 0) -> Occupancy:
        """How full an agent is (all three figures); counting `queued` stops at `cap` if it is not 0."""

    def idle_of(self, agent_ids: Sequence[str]) -> set[str]:
        """Those of some agents that do nothing and have nothing to do: none of their executions is open."""

    def open(self, agent_id: str, *, trigger_id: str | None = None) -> list[Execution]:
        """Those that are not final, oldest first; of one trigger if it is given."""

    def claim(
        self,
        agent_id: str,
        *,
        limit: int,
        people_only: bool,
        now: datetime,
        generation: int = 0,
        resumes_only: bool = False,
        runs_only: bool = False,
        only: str = "",
    ) -> list[Execution]:
        """Moves up to `limit` QUEUED ones to RUNNING and returns them as they are then.

        Order: requeued runs, then priority (higher first), then creation. Each gets `lease + 1`,
        `started`, and its first `start_time`; a fresh one gets `attempt + 1` (so does one that was RETRYING;
        one that was interrupted keeps its attempt). `people_only` leaves out what never started, save kinds
        in `BY_PEOPLE`. One that bears a cancel mark is never claimed, save once if it is to resume; `resumes_only`
        claims no others, `runs_only` nothing that never started, `only` the one execution of that id.
        `generation`, if it is not 0, is the agent's as the attempt starts, and becomes the execution's; a
        backfill's keeps the one it began with.
        """

    def finish(
        self,
        execution_id: str,
        *,
        lease: int,
        state: ExecutionState,
        now: datetime,
        result: str | None = None,
        error: ExecutionError | None = None,
    ) -> bool:
        """RUNNING under this lease → a final state. False if it is not RUNNING under this lease."""

    def end_idle(
        self, execution_id: str, *, state: ExecutionState, now: datetime, error: ExecutionError | None = None
    ) -> bool:
        """QUEUED, WAITING or RETRYING → a final state. False if it is in none of them."""

    def wait(self, execution_id: str, *, lease: int, wait: Wait) -> bool:
        """RUNNING under this lease → WAITING; the attempt goes on when it wakes."""

    def wake(self, execution_id: str) -> bool:
        """WAITING → QUEUED; False if it does not wait."""

    def resume_cancelled(self, execution_id: str, *, reason: str) -> bool:
        """QUEUED, WAITING or RETRYING → QUEUED with a cancel mark, to be run once more; False if it has one."""

    def waits_over(self, now: datetime, *, limit: int) -> list[Execution]:
        """WAITING ones whose time has come."""

    def retry_later(
        self, execution_id: str, *, lease: int, next_attempt_time: datetime, error: ExecutionError
    ) -> bool:
        """RUNNING under this lease → RETRYING."""

    def requeue(self, execution_id: str, *, lease: int, unclean: bool, error: ExecutionError) -> bool:
        """RUNNING under this lease → QUEUED, one interruption more; `unclean` counts it towards crash_loop.

        The attempt is not counted: the next claim keeps its number.
        """

    def wake_due(self, now: datetime, *, limit: int) -> list[Execution]:
        """RETRYING ones whose `next_attempt_time` has come → QUEUED; returned as they are then."""

    def overdue(self, now: datetime, *, limit: int) -> list[Execution]:
        """Those in QUEUED, WAITING or RETRYING whose `deadline` has passed."""

    def next_wake(self) -> datetime | None:
        """The earliest `next_attempt_time` of RETRYING ones, end of a wait, or `deadline` of idle ones."""

    def mark_cancel(self, execution_id: str, *, reason: str) -> bool:
        """Sets the durable cancel mark on one that is not final; False if it was set or it is final."""

    def running(self, *, after: str = "", limit: int = 1000) -> list[Execution]:
        """RUNNING ones in the order of their ids, from after an id: what a start must rescue."""

    def agents_with_work(self) -> list[str]:
        """The ids of agents that have a QUEUED execution, or a RUNNING one with a cancel mark."""


class Transaction(Protocol):
    """One unit of work's view of the store."""

    @property
    def agents(self) -> AgentTable:
        """Agents."""

    @property
    def executions(self) -> ExecutionTable:
        """Executions."""

    @property
    def events(self) -> EventTable:
        """The event log."""

    @property
    def event_triggers(self) -> EventTriggerTable:
        """Event triggers, by what they match on."""

    @property
    def event_calls(self) -> EventCallTable:
        """Events on their way to those that wait for them."""

    @property
    def lags(self) -> LagTable:
        """Triggers that lag."""

    @property
    def chains(self) -> ChainTable:
        """Chains of executions that events have caused."""

    @property
    def logs(self) -> LogTable:
        """What executions say."""

    @property
    def steps(self) -> StepTable:
        """Journals and signals."""

    @property
    def signal_urls(self) -> SignalUrlTable:
        """One-time addresses of signals."""

    @property
    def fires(self) -> FireTable:
        """The ledger and the cursors."""

    @property
    def skips(self) -> SkipTable:
        """Nominal times that will not fire."""

    @property
    def backfills(self) -> BackfillTable:
        """Backfills."""

    @property
    def hooks(self) -> HookTable:
        """Webhooks: their secrets and deliveries."""

    @property
    def outbound(self) -> OutboundTable:
        """Outbound hooks, and what they could not deliver yet."""

    @property
    def pools(self) -> PoolTable:
        """Pools that agents share."""

    @property
    def keys(self) -> KeyTable:
        """Executions by their concurrency keys."""

    @property
    def usage(self) -> UsageTable:
        """What agents have used of their limits."""

    @property
    def requests(self) -> RequestTable:
        """Answers by request id."""

    @property
    def residents(self) -> ResidentTable:
        """Residents, and what is wanted of them."""

    @property
    def retention(self) -> RetentionTable:
        """Forgetting what is no longer kept."""

    def meta(self, key: str) -> str | None:
        """A fact about the store itself."""

    def set_meta(self, key: str, value: str) -> None:
        """Keeps a fact about the store itself."""


class Store(Protocol):
    """The truth on disk."""

    @property
    def incarnation(self) -> str:
        """New whenever sequences may have been used by another history (a new or a restored file)."""

    @property
    def damage(self) -> str:
        """What was found if what is stored turned out to be damaged: nothing more is written; empty if it did not."""

    @property
    def location(self) -> str:
        """What GetRuntime shows, such as `sqlite:.nightcrew/nightcrew.db`."""

    @property
    def reads(self) -> Reads:
        """Reads beside the writer."""

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """Runs a unit of work and returns what it returned, after its commit.

        Raises:
            NightcrewError: What the unit raised; its changes are undone.
            StoreError: The store failed; nothing of the unit is kept.
            CommitUnknown: The commit failed in a way that leaves its outcome open.
        """

    async def open(self) -> None:
        """Opens the file, migrates it, takes the lock; raises StoreError with what to do if it can't."""

    async def close(self) -> None:
        """Commits what is under way, refuses what comes after, closes the file."""
