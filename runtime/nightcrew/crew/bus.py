"""Wake-ups within the process: a poke says 'look at the table again', never what is in it."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Signal:
    """Wakes everyone who waits; a poke nobody waits for costs a comparison.

    Waiters must look before they wait: take `version`, look, then `wait_past(version)`.
    """

    __slots__ = ("_waiters", "version")

    def __init__(self) -> None:
        self.version = 0
        # In the order they came, so that a test in a box sees the same order every time; a set has none.
        self._waiters: dict[asyncio.Future[None], None] = {}

    def poke(self) -> None:
        """Wakes all that wait."""
        self.version += 1
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait_past(self, version: int) -> None:
        """Returns once `version` is no longer the current one; at once if it is not now."""
        if self.version != version:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.join(waiter)
        try:
            await waiter
        finally:
            self.leave(waiter)

    def join(self, waiter: "asyncio.Future[None]") -> None:
        """Has the next poke set this future; one future may join several signals. Look at `version` afterwards."""
        self._waiters[waiter] = None

    def leave(self, waiter: "asyncio.Future[None]") -> None:
        """Takes a future back that `join` gave."""
        self._waiters.pop(waiter, None)


class Endings:
    """Wakes who waits for the end of one execution, without waking anyone else."""

    def __init__(self) -> None:
        self._waiters: dict[str, dict[asyncio.Future[None], None]] = {}

    def ring(self, execution_id: str) -> None:
        """The execution has ended, on disk."""
        for waiter in self._waiters.pop(execution_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    @contextmanager
    def expect(self, execution_id: str) -> Iterator[asyncio.Future[None]]:
        """A future that is done once the execution has ended; look at the table after taking it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(execution_id, {})[waiter] = None
        try:
            yield waiter
        finally:
            waiters = self._waiters.get(execution_id)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del self._waiters[execution_id]


class Notes(Signal, Generic[T]):
    """A signal with what it is about: notes, until whoever waits takes them; a lost one is found in the table."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        super().__init__()
        self._notes: list[T] = []

    def add(self, notes: Iterable[T]) -> None:
        """Adds notes, and wakes."""
        self._notes.extend(notes)
        self.poke()

    def take(self) -> list[T]:
        """The notes since the last call, in their order."""
        taken, self._notes = self._notes, []
        return taken


class Bus:
    """The process's signals.

    Attributes:
        events: Something was appended to the event log.
        logs: Something was appended to some execution's log.
        progress: Some execution has got further.
        timers: A durable timer of an execution (a retry, a deadline) may be earlier than before.
        endings: Executions that have ended.
        places: An execution has ended or an agent has changed: places may be free.
        gates: An agent waits for a pool's rate: there is a moment to look again.
        backfills: A backfill was begun.
        deliveries: People want outbound deliveries to be tried again.
        residents: Residents that have ended, or were begun anew.
        lags: Agents whose lagging triggers may find room; `take_lags` empties the set.
        schedules: Agents whose schedules must be looked at again; `take_schedules` empties the set.
        agents: Agents that have changed; noted only once somebody follows them. `take_agents` empties the set.
    """

    def __init__(self) -> None:
        self.events = Signal()
        self.logs = Signal()
        self.progress = Signal()
        self.timers = Signal()
        self.endings = Endings()
        self.places = Signal()
        self.gates = Signal()
        self.backfills = Signal()
        self.deliveries = Signal()
        self.residents: Notes[Any] = Notes()
        self.schedules = Signal()
        self._schedules: set[str] = set()
        self.lags = Signal()
        self._lags: set[str] = set()
        self.agents = Signal()
        self._agents: set[str] | None = None

    def poke_all(self) -> None:
        """Wakes everyone who looks at tables: something may have changed, and what is not known."""
        signals = (
            self.events,
            self.logs,
            self.progress,
            self.timers,
            self.places,
            self.gates,
            self.backfills,
            self.deliveries,
            self.lags,
            self.residents,
        )
        for signal in signals:
            signal.poke()

    def touch_schedules(self, agent_ids: Iterable[str]) -> None:
        """Notes that the schedules of these agents have changed."""
        self._schedules.update(agent_ids)
        self.schedules.poke()
        if self._agents is not None:
            self.note_agents(agent_ids)

    def take_schedules(self) -> set[str]:
        """The agents noted since the last call."""
        taken, self._schedules = self._schedules, set()
        return taken

    def follow_agents(self) -> None:
        """From now on agents that have changed are noted."""
        self._agents = set()

    def note_agents(self, agent_ids: Iterable[str]) -> None:
        """Notes that these agents have changed."""
        if self._agents is not None:
            self._agents.update(agent_ids)
            self.agents.poke()

    def take_agents(self) -> set[str]:
        """The agents noted since the last call."""
        taken, self._agents = self._agents or set(), set()
        return taken

    def touch_lags(self, agent_ids: Iterable[str]) -> None:
        """Notes that lagging triggers of these agents may find room."""
        self._lags.update(agent_ids)
        self.lags.poke()

    def take_lags(self) -> set[str]:
        """The agents noted since the last call."""
        taken, self._lags = self._lags, set()
        return taken
