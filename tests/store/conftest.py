"""The stores under test, open on a fresh folder, and records to fill them with."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nightcrew.domain.agent import Agent
from nightcrew.domain.event import NewEvent
from nightcrew.domain.execution import FINAL, Execution, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.fire import Fire, FireOutcome
from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.ports.store import Store
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sqlite(folder: Path) -> Store:
    return SqliteStore(folder, clock=ManualClock(START), ids=SystemIds())


def on_loop(folder: Path) -> Store:
    return SqliteStore(folder, clock=ManualClock(START), ids=SystemIds(), on_loop=True)


# Every store that is to be called one passes these tests; PostgreSQL will be another entry.
STORES: dict[str, Callable[[Path], Store]] = {"sqlite": sqlite, "on the loop": on_loop}


@pytest.fixture(params=STORES)
def make_store(request, tmp_path) -> Callable[[], Store]:
    """Makes a store on the test's own folder; a second one meets the first one's data."""
    return lambda: STORES[request.param](tmp_path / "data")


@pytest.fixture
async def store(make_store) -> AsyncIterator[Store]:
    store = make_store()
    await store.open()
    yield store
    await store.close()


class Make:
    """Records with what the test does not care for filled in."""

    def __init__(self) -> None:
        self._ids = SystemIds()
        self._count = itertools.count()

    def at(self, seconds: float = 0) -> datetime:
        return START + timedelta(seconds=seconds)

    def spec(self, entrypoint: str = "jobs:digest", **fields: Any) -> AgentSpec:
        return AgentSpec.parse({"program": {"python": {"entrypoint": entrypoint}}, **fields})

    def agent(self, agent_id: str = "digest", **fields: Any) -> Agent:
        values = {"spec": self.spec(), "create_time": START, "update_time": START, "state_time": START}
        return Agent(id=agent_id, **(values | fields))

    def execution(self, agent_id: str = "digest", **fields: Any) -> Execution:
        """A QUEUED one, each a second younger than the one before; state and times follow each other."""
        values: dict[str, Any] = {
            "id": self._ids.uuid7(),
            "agent_generation": 1,
            "state": ExecutionState.QUEUED,
            "trigger": TriggerRef(kind=TriggerKind.EVENT),
            "create_time": self.at(next(self._count)),
        } | fields
        if values["state"] in FINAL:
            values.setdefault("end_time", values["create_time"] + timedelta(seconds=1))
        return Execution(agent_id=agent_id, **values)

    def event(self, kind: str = "test.happened", **fields: Any) -> NewEvent:
        return NewEvent(**({"type": kind, "source": "/test", "time": START} | fields))

    def log(self, message: str = "said", **fields: Any) -> NewLogEntry:
        return NewLogEntry(**({"time": START, "message": message} | fields))

    def fire(self, seconds: float = 0, until: float | None = None, **fields: Any) -> Fire:
        values = {
            "agent_id": "digest",
            "trigger_id": "cron",
            "nominal_time": self.at(seconds),
            "last_nominal_time": self.at(seconds if until is None else until),
            "actual_time": self.at(seconds),
            "outcome": FireOutcome.STARTED,
        }
        return Fire(**(values | fields))


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def start() -> datetime:
    return START
