"""A runtime in a box, for tests of agents: the real thing without gateways, on a clock that the test moves."""

import asyncio
import inspect
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from nightcrew.app.engine import Engine
from nightcrew.app.hosts import Hosts
from nightcrew.config.settings import Settings, default_settings
from nightcrew.domain.agent import Agent
from nightcrew.domain.durations import to_micros
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution
from nightcrew.domain.filter import Comparison
from nightcrew.domain.fire import Fire
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import MAX_PAGE_SIZE, ListQuery, Page
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.services.use_cases import UseCases
from nightcrew.store.sqlite.history import read_note
from nightcrew.system.ids import SystemIds
from nightcrew.testing.clock import ManualClock
from nightcrew.testing.given import given
from nightcrew.testing.hosts import BoxHost, ThreadHost

T = TypeVar("T")

_BY_TEST: Final = Request(method="box")
_STORE_TURN: Final = 0.0002
"""Seconds of real time between looks whether the store has opened or closed."""
_CLOSING: Final = 1.0
"""Seconds of real time that the runtime has to close before virtual time passes for it."""
_LOOK: Final = 0.005
"""Seconds of real time between looks at what happens in real time."""
_NANOS_A_MICRO: Final = 1000


class Box:
    """A whole runtime in this process: a real store on disk, real supervision, and virtual time.

        async with Box(digest) as box:                   # `digest` is decorated with @agent
            execution = await box.run("digest", {"to": "me"})
            assert execution.result == '{"sent":1}'
            await box.advance(hours=24)                   # its cron fires, in no time
            assert len(await box.executions("digest")) == 2

    Python agents run in this process, whatever their `isolation` says: async functions on this loop, sync
    functions in threads, one at a time, while virtual time stands still. Flows, commands and requests take real
    time (see `until`). The same box has the same history in every run, row for row and id for id, as long as
    the agents do the same.

    Args:
        agents: Decorated functions and objects.
        folder: Where the store is; made for this box alone if it is not given. A second box on the folder of
            one that has ended goes on where that was, if it has its clock, too (see `restart`).
        clock: The clock; one that begins on 2026-01-01 by default.
        seed: Where ids and the jitter of back-off come from.
        paths: Files with agents, as `nightcrew up` takes them.
        prune: As `nightcrew up --prune`.
        patience: Seconds of virtual time that keepers sleep at most. A runtime's look every 30 s for what nobody
            told them of; in a box that would take most of the time. What they are told of wakes them as ever.
        settings: As `nightcrew up` is told. By default nothing: neither this machine's environment nor its
            nightcrew.toml has a say in a test.
    """

    def __init__(
        self,
        *agents: Any,
        folder: Path | None = None,
        clock: ManualClock | None = None,
        seed: int = 0,
        paths: Sequence[Path] = (),
        prune: bool = False,
        patience: float = 86_400.0,
        settings: Settings | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        # The store makes it as it opens, for this user alone: a box that is never entered leaves nothing.
        self._temporary = (
            Path(gettempdir()) / f"nightcrew-box-{SystemIds().uuid7()}" if folder is None else None
        )
        self._settings = (settings or default_settings()).model_copy(
            update={"data": folder or self._temporary}
        )
        note = read_note(self._settings.data)
        # A box that goes on where another was must not give its ids again.
        self._ids = SystemIds(nanos=self._nanos, seed=f"{seed}/{note.sequence if note else 0}")
        self._agents = agents
        self._paths = paths
        self._prune = prune
        self._patience = patience
        self._deaf: Callable[[], None] = lambda: None
        self._life: asyncio.Task[None] | None = None
        self._make()

    def _make(self) -> None:
        clock, ids, settings = self.clock, self._ids, self._settings
        self.engine = Engine(
            settings,
            self._paths,
            prune=self._prune,
            also=[given(one) for one in self._agents],
            clock=clock,
            ids=ids,
            on_loop=True,
            around=self._around,
            patience=self._patience,
        )

    def _around(self, hosts: Hosts) -> BoxHost:
        self._threads = ThreadHost(self.clock, random=self._ids.random)
        return BoxHost(hosts.inline, self._threads, hosts.router)

    def _nanos(self) -> int:
        return to_micros(self.clock.now()) * _NANOS_A_MICRO

    @property
    def services(self) -> UseCases:
        """Every use case, as the gateways have them."""
        return self.engine.services

    @property
    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return self.clock.now()

    async def __aenter__(self) -> Self:
        """Starts the runtime; raises what kept it from starting."""
        await self._start()
        return self

    async def _start(self) -> None:
        self._deaf = self.clock.on_shift(self._shifted)
        ready = asyncio.Event()
        self._life = asyncio.create_task(self.engine.run(ready.set), name="box")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._life, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self.settle()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it; what runs is interrupted."""
        await self.stop()
        self._clean_up()

    async def stop(self) -> None:
        """Ends it as a crash would that loses nothing on disk: what runs is cancelled, nothing is written of it."""
        self.engine.stop()
        await self._closed()

    async def restart(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Stops it, lets time pass, and starts it again on its folder: an outage."""
        await self.stop()
        await self.clock.advance(_seconds(seconds, minutes, hours, days))
        self._make()
        await self._start()

    def _shifted(self) -> None:
        """The wall clock was set: a runtime notices it within its patience, and so does a box whose own is longer."""
        self.clock.call_later(PATIENCE, self._notice)

    def _notice(self) -> None:
        self.engine.bus.schedules.poke()
        self.engine.bus.timers.poke()

    async def _closed(self) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        self._deaf()
        # Closing takes real time. Only what does not end by itself needs the limits, which are on the clock.
        while not (await asyncio.wait([life], timeout=_CLOSING))[0]:
            await self.clock.leap_to_next()
        if life.exception() is not None:
            self._clean_up()
        await life

    def _clean_up(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # ---- time ---------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Lets everything happen that can happen now; no time passes. Raises what ended the runtime, if it did."""
        while True:
            await self.clock.settle()
            if self.engine.ending or (self._life is not None and self._life.done()):
                await self._closed()
                return
            if await self._threads.work():
                continue
            if not self.engine.store.busy and not self.engine.hosts.inline.in_threads:
                return
            await asyncio.sleep(_STORE_TURN)

    async def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Lets time pass; all that is due in it happens at its own moment, in order."""
        end = self.clock.monotonic() + _seconds(seconds, minutes, hours, days)
        await self.settle()
        while not self.engine.ending and self.clock.leap(until=end):
            await self.settle()
        await self.clock.advance(max(0.0, end - self.clock.monotonic()))
        await self.settle()

    async def until(self, condition: Callable[[], Any], *, limit: float = 3600.0, real: float = 0.0) -> None:
        """Lets time pass, deadline after deadline, until a condition (or what it awaits) is true.

        Args:
            condition: Asked again after each deadline.
            limit: Seconds of virtual time.
            real: Seconds of real time that are waited first, in which no virtual time passes: for programs that
                wait for what is not virtual (a network, `asyncio.sleep`).

        Raises:
            TimeoutError: It is not true by then.
        """
        loop = asyncio.get_running_loop()
        patience, end = loop.time() + real, self.clock.monotonic() + limit
        await self.settle()
        while not await _truth(condition()):
            if loop.time() < patience:
                await asyncio.sleep(_LOOK)
            elif not self.clock.leap(until=end):
                await self.clock.advance(max(0.0, end - self.clock.monotonic()))
                raise TimeoutError(f"the condition is not true after {limit} s of virtual time")
            await self.settle()

    # ---- agents and their work -----------------------------------------------------------------------------

    async def trigger(self, agent_id: str, data: Mapping[str, Any] | None = None, **wish: Any) -> Execution:
        """Triggers an agent by hand; returns the execution as it is on disk then."""
        wished = Triggering(agent_id=agent_id, request=_BY_TEST, input=data or {}, **wish)
        execution = await self.services.executions.trigger(wished)
        await self.settle()
        return execution

    async def run(
        self,
        agent_id: str,
        data: Mapping[str, Any] | None = None,
        *,
        limit: float = 3600.0,
        real: float = 0.0,
    ) -> Execution:
        """Triggers an agent and lets time pass until the execution has ended (see `until`).

        Raises:
            TimeoutError: It has not ended by then.
        """
        return await self.ended((await self.trigger(agent_id, data)).id, limit=limit, real=real)

    async def ended(self, execution_id: str, *, limit: float = 3600.0, real: float = 0.0) -> Execution:
        """The execution once it has ended; time passes meanwhile (see `until`).

        Raises:
            TimeoutError: It has not ended by then.
        """

        async def final() -> bool:
            return (await self.execution(execution_id)).state.final

        await self.until(final, limit=limit, real=real)
        return await self.execution(execution_id)

    async def command(self, verb: str, agent_id: str) -> Agent:
        """`start`, `stop`, `pause` or `resume` an agent, as people do.

        Raises:
            FailedPrecondition: Its state does not allow it.
        """
        event = AgentEvent(verb)
        agent = await self.services.agents.command(event, agent_id, reason="", request=_BY_TEST)
        await self.settle()
        return agent

    async def agent(self, agent_id: str) -> Agent:
        """The agent as it is now."""
        return await self.services.agents.get(agent_id)

    async def execution(self, execution_id: str) -> Execution:
        """The execution as it is now."""
        return await self.services.executions.get(execution_id)

    async def executions(self, agent_id: str = "") -> list[Execution]:
        """All executions (of one agent), the oldest first."""
        return (await _all(self.services.executions.page, agent_id))[::-1]

    async def fires(self, agent_id: str = "") -> list[Fire]:
        """The ledger (of one agent), the earliest nominal time first."""
        return (await _all(self.services.schedules.fires, agent_id))[::-1]

    async def events(self, agent_id: str = "") -> list[Event]:
        """The event log (of one agent), in order."""
        found: list[Event] = []
        while some := await self.engine.store.reads.events_after(
            found[-1].sequence if found else 0, limit=MAX_PAGE_SIZE
        ):
            found += some
        return [one for one in found if agent_id in {"", one.agent_id}]

    async def logs(self, execution_id: str) -> list[LogEntry]:
        """What an execution said, in order."""
        return (await self.services.logs.page(execution_id, ListQuery(page_size=MAX_PAGE_SIZE))).items


def _seconds(seconds: float, minutes: float, hours: float, days: float) -> float:
    return timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days).total_seconds()


async def _truth(value: Any) -> bool:
    return bool(await value if inspect.isawaitable(value) else value)


async def _all(page: Callable[[ListQuery], Awaitable[Page[T]]], agent_id: str) -> list[T]:
    found: list[T] = []
    token, only = "", Comparison("agent_id", "=", agent_id, position=0) if agent_id else None
    while True:
        one = await page(ListQuery(page_size=MAX_PAGE_SIZE, page_token=token, where=only))
        found += one.items
        token = one.next_page_token
        if not token:
            return found
