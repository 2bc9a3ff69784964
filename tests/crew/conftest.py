"""What the crew's tests share: a real store with commits that tell a notebook, and boxes that run programs."""

import itertools
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from tests.crew.support.press import Press

from nightcrew.crew.admission import admit
from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import Commits
from nightcrew.crew.dispatch import dispatch
from nightcrew.crew.intake import Work
from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.services.agents import add_agent
from nightcrew.store.sqlite import connection
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)
PYTHON = {"python": {"entrypoint": "jobs:run"}}


class Notebook:
    """A teller that writes down what it is told."""

    def __init__(self):
        self.told = []

    def claimed(self, agent_id, runs):
        self.told += [("claimed", agent_id, one.execution.id) for one in runs]

    def work(self, agent_id):
        self.told.append(("work", agent_id))

    def changed(self, agent_id):
        self.told.append(("changed", agent_id))

    def cancel(self, agent_id):
        self.told.append(("cancel", agent_id))

    def kill(self, execution_id):
        self.told.append(("kill", execution_id))

    def take(self):
        told, self.told = self.told, []
        return told


class Desk:
    """The crew's units of work on a real store, without actors."""

    def __init__(self, store, clock, ids):
        self.store, self.clock, self.ids = store, clock, ids
        self.bus = Bus()
        self.notebook = Notebook()
        self.commits = Commits(store, self.bus, ids)
        self.commits.tell_through(self.notebook)
        self.commits.dispatch_through(dispatch)
        self._number = itertools.count(1)

    @property
    def now(self):
        return self.clock.now()

    async def do(self, unit, *args, **kwargs):
        """Runs `unit(tx, after, …, now=…)` in a transaction."""
        return await self.commits.run(lambda tx, after: unit(tx, after, *args, now=self.now, **kwargs))

    async def read(self, what):
        return await self.store.write(what)

    async def agent(self, agent_id="a", *, state=AgentState.ACTIVE, triggers=(), program=PYTHON, **execution):
        manifest = Manifest.parse(
            {"spec": {"program": program, "execution": execution, "triggers": list(triggers)}}
        )
        await self.do(add_agent, manifest, agent_id=agent_id)
        for event in {
            AgentState.STOPPED: (),
            AgentState.ACTIVE: (AgentEvent.START,),
            AgentState.PAUSED: (AgentEvent.START, AgentEvent.PAUSE),
            AgentState.ERROR: (AgentEvent.START, AgentEvent.FAIL),
        }[state]:
            await self.move(agent_id, event)
        self.notebook.take()
        return await self.get(agent_id)

    async def move(self, agent_id, event, **kwargs):
        def unit(tx, after, now):
            return move_agent(tx, after, tx.agents.get(agent_id), event, now=now, **kwargs)

        return await self.do(unit)

    async def get(self, agent_id="a"):
        return await self.read(lambda tx: tx.agents.get(agent_id))

    async def execution(self, execution_id):
        return await self.read(lambda tx: tx.executions.get(execution_id))

    async def open(self, agent_id="a"):
        return await self.read(lambda tx: tx.executions.open(agent_id))

    async def states(self, agent_id="a"):
        """The open executions of an agent, oldest first, as `id: STATE`."""
        return [(one.id, one.state.removeprefix("STATE_")) for one in await self.open(agent_id)]

    async def admit(self, agent_id="a", *names, kind=TriggerKind.MANUAL, trigger="", **kwargs):
        """Admits works of one trigger under their names as ids."""
        works = [
            Work(
                execution_id=name,
                trigger=TriggerRef(
                    kind=kind,
                    trigger_id=trigger,
                    nominal_time=START + timedelta(seconds=next(self._number))
                    if kind is TriggerKind.SCHEDULE
                    else None,
                ),
            )
            for name in names
        ]

        def unit(tx, after, now):
            return admit(tx, after, tx.agents.get(agent_id), works, now=now, **kwargs)

        return await self.do(unit)

    async def events(self, after=0):
        return await self.store.reads.events_after(after, limit=10_000)

    async def kinds(self, execution_id):
        """What the event log tells of an execution."""
        return [
            one.type.removeprefix("nightcrew.execution.")
            for one in await self.events()
            if one.execution_id == execution_id
        ]


@pytest.fixture
async def desk(tmp_path):
    clock, ids = ManualClock(START), SystemIds()
    store = SqliteStore(tmp_path, clock=clock, ids=ids)
    await store.open()
    yield Desk(store, clock, ids)
    await store.close()


@pytest.fixture
def press(desk):
    return Press(desk)


class Failing:
    """Makes a store refuse every write while it is entered: another process holds the file."""

    def __init__(self, store):
        self._path = store._path
        self._other = None

    async def __aenter__(self):
        self._other = sqlite3.connect(self._path, isolation_level=None)
        self._other.execute("BEGIN IMMEDIATE")

    async def __aexit__(self, *_):
        self._other.close()


@pytest.fixture
def failing(monkeypatch):
    """Take it before the store is opened: it waits less long for the other process."""
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    return Failing
