"""Units of work with what must follow their commit: tells and pokes happen only once the change is on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

from nightcrew.crew.bus import Bus
from nightcrew.crew.filter_faults import FilterFaults
from nightcrew.crew.links import NO_LINKS, Links
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import CommitUnknown
from nightcrew.domain.event import AGENT_RESUMED, AGENT_STARTED, AGENT_UPDATED, OWN_PREFIX, NewEvent
from nightcrew.domain.event_match import OUTCOMES
from nightcrew.domain.execution import Execution
from nightcrew.domain.pool import Pool
from nightcrew.domain.spec.policy import RestartPolicy
from nightcrew.domain.step import Step
from nightcrew.ports.clock import Ids
from nightcrew.ports.store import Store, Transaction

T = TypeVar("T")

NO_POOLS: Final[Mapping[str, Pool]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is committed as RUNNING: the execution, its agent as it was then, the agent's memory, its journal.

    `since` is when, where somebody counts the time that it takes.
    """

    execution: Execution
    agent: Agent
    memory: str | None
    journal: tuple[Step, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An agent's resident has ended and is to be restarted by `policy`.

    Without a policy it is begun anew if it is wanted, and what was before counts no more.
    """

    agent_id: str
    policy: RestartPolicy | None = None


class Teller(Protocol):
    """Who hands wake-ups to agents' actors."""

    def claimed(self, agent_id: str, runs: Sequence[Claimed]) -> None:
        """Runs of the agent were claimed as they were admitted: they are to be started."""

    def work(self, agent_id: str) -> None:
        """There may be work for the agent."""

    def changed(self, agent_id: str) -> None:
        """The agent itself has changed."""

    def cancel(self, agent_id: str) -> None:
        """A run of the agent bears a new cancel mark."""

    def kill(self, execution_id: str) -> None:
        """A run bears a cancel mark and gets no grace."""

    def arrived(self, execution_id: str) -> None:
        """A wait of a run is over while it runs: it is to look."""


class After:
    """What must follow a commit; a unit that runs again starts with an empty one.

    A unit may also ask it what its transaction can't tell.

    Attributes:
        claiming: Whether work may be started at all; in a drain it is only queued.
        awake_since: Since when schedules are looked at without a break; None while nobody does.
        new_id: Makes ids of executions.
        pools: What agents share, by name.
    """

    __slots__ = (
        "arrived",
        "awake_since",
        "backfills",
        "cancels",
        "changed",
        "claimed",
        "claiming",
        "deliveries",
        "effort",
        "ended",
        "events",
        "filter_errors",
        "gates",
        "kills",
        "lags",
        "links",
        "logs",
        "new_id",
        "noted",
        "pools",
        "progress",
        "residents",
        "schedules",
        "timers",
        "work",
    )

    def __init__(
        self,
        new_id: Callable[[], str],
        *,
        claiming: bool = True,
        awake_since: datetime | None = None,
        pools: Mapping[str, Pool] = NO_POOLS,
        links: Links = NO_LINKS,
    ) -> None:
        self.new_id = new_id
        self.links = links
        self.pools = pools
        self.claiming = claiming
        self.awake_since = awake_since
        self.claimed: dict[str, list[Claimed]] = {}
        self.work: list[str] = []
        self.cancels: list[str] = []
        self.kills: list[str] = []
        self.arrived: list[str] = []
        self.changed: list[str] = []
        self.ended: list[str] = []
        self.schedules: list[str] = []
        self.effort = 0
        self.lags: list[str] = []
        self.filter_errors: list[tuple[str, str, str]] = []
        self.noted: list[tuple[int, NewEvent, datetime]] = []
        self.residents: list[Ended] = []
        self.backfills = False
        self.deliveries = False
        self.gates = False
        self.timers = False
        self.events = False
        self.logs = False
        self.progress = False

    def append(self, tx: Transaction, event: NewEvent, *, received: datetime | None = None) -> int:
        """Appends an event to the log, and notes that watchers must look and that it may have to be dispatched.

        Args:
            tx: The transaction.
            event: The event.
            received: Now, if the event's own time is another.
        """
        self.events = True
        sequence = tx.events.append(event)
        kind = event.type
        if kind in _LOOKED_AT or not kind.startswith(OWN_PREFIX):
            self.noted.append((sequence, event, received or event.time))
        return sequence


_LOOKED_AT: Final = OUTCOMES | {AGENT_UPDATED, AGENT_STARTED, AGENT_RESUMED}
"""What may trigger, or may have made room, of the runtime's own events."""


Dispatch = Callable[[Transaction, After], None]
"""Gives what a unit has appended to the triggers that it matches."""


class Commits:
    """The way to the store for everything that wakes others.

    Attributes:
        filter_faults: Filters of event triggers that could not be evaluated.
        pools: What agents share, by name.
        links: Makes addresses that are given away.
        claiming: Whether work may be started; in a drain it is only queued.
        awake_since: Since when the scheduler looks without a break: what came due since is on time, whoever
            fires it; None while it does not look.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        ids: Ids,
        *,
        pools: Mapping[str, Pool] = NO_POOLS,
        links: Links = NO_LINKS,
    ) -> None:
        self.links = links
        self.pools = pools
        self._store = store
        self._bus = bus
        self._new_id = ids.uuid7
        self._teller: Teller | None = None
        self._dispatch: Dispatch | None = None
        self.filter_faults = FilterFaults()
        self.claiming = True
        self.awake_since: datetime | None = None

    def tell_through(self, teller: Teller) -> None:
        """Names who hands wake-ups on; until then nobody is told (the rescuer's sweep finds the work)."""
        self._teller = teller

    def dispatch_through(self, dispatch: Dispatch) -> None:
        """Names what gives events to the triggers that they match, within each unit's transaction."""
        self._dispatch = dispatch

    async def run(self, unit: Callable[[Transaction, After], T]) -> T:
        """Runs a unit of work, then does what it noted.

        Raises:
            NightcrewError: As Store.write does.
        """

        def whole(tx: Transaction) -> tuple[T, After]:
            after = After(
                self._new_id,
                claiming=self.claiming,
                awake_since=self.awake_since,
                pools=self.pools,
                links=self.links,
            )
            value = unit(tx, after)
            if after.noted and self._dispatch is not None:
                self._dispatch(tx, after)
            return value, after

        try:
            value, after = await self._store.write(whole)
        except CommitUnknown:
            self._bus.poke_all()  # it may have taken place: whoever waits must look
            raise
        self._follow(after)
        return value

    def _follow(self, after: After) -> None:
        _poke(self._bus, after)
        _note(self._bus, after)
        if after.filter_errors:
            self.filter_faults.add(after.filter_errors)
        for execution_id in after.ended:
            self._bus.endings.ring(execution_id)
        if self._teller is not None:
            _tell(self._teller, after)


def _poke(bus: Bus, after: After) -> None:
    if after.events:
        bus.events.poke()
    if after.logs:
        bus.logs.poke()
    if after.progress:
        bus.progress.poke()
    if after.timers:
        bus.timers.poke()
    if after.backfills:
        bus.backfills.poke()
    if after.deliveries:
        bus.deliveries.poke()
    if after.gates:
        bus.gates.poke()
    if after.ended or after.schedules or after.backfills:
        bus.places.poke()


def _note(bus: Bus, after: After) -> None:
    """Pokes that say what is to be looked at."""
    if after.schedules:
        bus.touch_schedules(after.schedules)
    if after.lags:
        bus.touch_lags(after.lags)
    if after.residents:
        bus.residents.add(after.residents)


def _tell(teller: Teller, after: After) -> None:
    for agent_id, runs in after.claimed.items():
        teller.claimed(agent_id, runs)
    for agent_id in after.work:
        teller.work(agent_id)
    for agent_id in after.changed:
        teller.changed(agent_id)
    for agent_id in after.cancels:
        teller.cancel(agent_id)
    for execution_id in after.kills:
        teller.kill(execution_id)
    for execution_id in after.arrived:
        teller.arrived(execution_id)
