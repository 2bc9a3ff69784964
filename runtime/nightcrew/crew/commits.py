"""Units of work with what must follow their commit: tells and pokes happen only once the change is on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from nightcrew.crew.bus import Bus
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import CommitUnknown
from nightcrew.domain.event import NewEvent
from nightcrew.domain.execution import Execution
from nightcrew.ports.clock import Ids
from nightcrew.ports.store import Store, Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is committed as RUNNING: the execution, its agent as it was then, the agent's memory."""

    execution: Execution
    agent: Agent
    memory: str | None


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


class After:
    """What must follow a commit; a unit that runs again starts with an empty one.

    A unit may also ask it what its transaction can't tell.

    Attributes:
        claiming: Whether work may be started at all; in a drain it is only queued.
        awake_since: Since when schedules are looked at without a break; None while nobody does.
        new_id: Makes ids of executions.
    """

    __slots__ = (
        "awake_since",
        "backfills",
        "cancels",
        "changed",
        "claimed",
        "claiming",
        "deliveries",
        "ended",
        "events",
        "kills",
        "logs",
        "new_id",
        "schedules",
        "timers",
        "work",
    )

    def __init__(
        self, new_id: Callable[[], str], *, claiming: bool = True, awake_since: datetime | None = None
    ) -> None:
        self.new_id = new_id
        self.claiming = claiming
        self.awake_since = awake_since
        self.claimed: dict[str, list[Claimed]] = {}
        self.work: list[str] = []
        self.cancels: list[str] = []
        self.kills: list[str] = []
        self.changed: list[str] = []
        self.ended: list[str] = []
        self.schedules: list[str] = []
        self.backfills = False
        self.deliveries = False
        self.timers = False
        self.events = False
        self.logs = False

    def append(self, tx: Transaction, event: NewEvent) -> int:
        """Appends an event to the log and notes that watchers must look."""
        self.events = True
        return tx.events.append(event)


class Commits:
    """The way to the store for everything that wakes others.

    Attributes:
        claiming: Whether work may be started; in a drain it is only queued.
        awake_since: Since when the scheduler looks without a break: what came due since is on time, whoever
            fires it; None while it does not look.
    """

    def __init__(self, store: Store, bus: Bus, ids: Ids) -> None:
        self._store = store
        self._bus = bus
        self._new_id = ids.uuid7
        self._teller: Teller | None = None
        self.claiming = True
        self.awake_since: datetime | None = None

    def tell_through(self, teller: Teller) -> None:
        """Names who hands wake-ups on; until then nobody is told (the rescuer's sweep finds the work)."""
        self._teller = teller

    async def run(self, unit: Callable[[Transaction, After], T]) -> T:
        """Runs a unit of work, then does what it noted.

        Raises:
            NightcrewError: As Store.write does.
        """

        def whole(tx: Transaction) -> tuple[T, After]:
            after = After(self._new_id, claiming=self.claiming, awake_since=self.awake_since)
            return unit(tx, after), after

        try:
            value, after = await self._store.write(whole)
        except CommitUnknown:
            self._bus.poke_all()  # it may have taken place: whoever waits must look
            raise
        self._follow(after)
        return value

    def _follow(self, after: After) -> None:
        bus = self._bus
        if after.events:
            bus.events.poke()
        if after.logs:
            bus.logs.poke()
        if after.timers:
            bus.timers.poke()
        if after.schedules:
            bus.touch_schedules(after.schedules)
        if after.backfills:
            bus.backfills.poke()
        if after.deliveries:
            bus.deliveries.poke()
        if after.ended or after.schedules or after.backfills:
            bus.places.poke()
        for execution_id in after.ended:
            bus.endings.ring(execution_id)
        if self._teller is not None:
            _tell(self._teller, after)


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
