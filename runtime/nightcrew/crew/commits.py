"""Units of work with what must follow their commit: tells and pokes happen only once the change is on disk."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from nightcrew.crew.bus import Bus
from nightcrew.domain.event import NewEvent
from nightcrew.ports.store import Store, Transaction

T = TypeVar("T")


class Teller(Protocol):
    """Who hands wake-ups to agents' actors."""

    def work(self, agent_id: str) -> None:
        """There may be work for the agent."""

    def changed(self, agent_id: str) -> None:
        """The agent itself has changed."""

    def cancel(self, agent_id: str) -> None:
        """A run of the agent bears a new cancel mark."""


class After:
    """What must follow a commit; a unit that runs again starts with an empty one."""

    __slots__ = ("cancels", "changed", "ended", "events", "logs", "schedules", "timers", "work")

    def __init__(self) -> None:
        self.work: list[str] = []
        self.cancels: list[str] = []
        self.changed: list[str] = []
        self.ended: list[str] = []
        self.schedules: list[str] = []
        self.timers = False
        self.events = False
        self.logs = False

    def append(self, tx: Transaction, event: NewEvent) -> int:
        """Appends an event to the log and notes that watchers must look."""
        self.events = True
        return tx.events.append(event)


class Commits:
    """The way to the store for everything that wakes others."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._teller: Teller | None = None

    def tell_through(self, teller: Teller) -> None:
        """Names who hands wake-ups on; until then nobody is told (the rescuer's sweep finds the work)."""
        self._teller = teller

    async def run(self, unit: Callable[[Transaction, After], T]) -> T:
        """Runs a unit of work, then does what it noted.

        Raises:
            NightcrewError: As Store.write does.
        """

        def whole(tx: Transaction) -> tuple[T, After]:
            after = After()
            return unit(tx, after), after

        value, after = await self._store.write(whole)
        self._follow(after)
        return value

    def _follow(self, after: After) -> None:
        bus = self._bus
        if after.events:
            bus.events.poke()
        if after.logs:
            bus.logs.poke()
        for execution_id in after.ended:
            bus.endings.ring(execution_id)
        if after.timers:
            bus.timers.poke()
        if after.schedules:
            bus.touch_schedules(after.schedules)
        if self._teller is not None:
            for agent_id in after.work:
                self._teller.work(agent_id)
            for agent_id in after.changed:
                self._teller.changed(agent_id)
            for agent_id in after.cancels:
                self._teller.cancel(agent_id)
