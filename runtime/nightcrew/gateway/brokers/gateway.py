"""The brokers' gateway: follows what agents' triggers name as sources, and keeps one source for each URL in use."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from nightcrew.actor.child import ChildSpec
from nightcrew.actor.supervisor import Supervisor
from nightcrew.crew.bus import Bus
from nightcrew.domain.agent import Agent, AgentState
from nightcrew.domain.broker.url import broker_url
from nightcrew.domain.errors import NotFound, Unavailable
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode
from nightcrew.gateway.brokers.reach import Reach
from nightcrew.gateway.brokers.source import Source
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.services.events import EventService

AWAY: Final = RestartRule(
    mode=RestartMode.PERMANENT, intensity=1000, period=86_400.0, initial_backoff=0.5, max_backoff=30.0
)
"""A broker that is away is tried again, later each time; one that is away for a day is begun anew."""
START_LIMIT: Final = 60.0
STORE_RETRY: Final = 1.0
_NO_SOURCE: Final = frozenset({AgentState.STOPPED, AgentState.STOPPING})

log = structlog.get_logger(__name__)


class BrokerGateway:
    """Keeps the sources, under a supervisor of their own.

    Args:
        events: Where events are published.
        reads: Where agents are looked up.
        bus: Tells which agents have changed.
        reach: How brokers are reached.
        clock: For waits.
        ids: Names events.
    """

    def __init__(
        self, *, events: EventService, reads: Reads, bus: Bus, reach: Reach, clock: Clock, ids: Ids
    ) -> None:
        self._events = events
        self._reads = reads
        self._bus = bus
        self._reach = reach
        self._clock = clock
        self._ids = ids
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._sources: dict[str, Source] = {}
        self._refusing = False
        self.supervisor = Supervisor("brokers", clock=clock)
        bus.follow_agents()

    @property
    def port(self) -> int:
        """None: it serves nobody."""
        return 0

    def refuse(self) -> None:
        """Takes no more messages: they stay with their brokers, which keep what comes meanwhile."""
        self._refusing = True
        for source in self._sources.values():
            source.closed = True
        self._bus.agents.poke()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Follows agents until it is cancelled."""
        self._wanted.clear()
        self._sources.clear()
        up = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.supervisor.run(up.set), name="sources")
            await up.wait()
            self._bus.take_agents()
            self._note(await self._reads.agents_with_sources())
            await self._adjust()
            ready()
            while True:
                version = self._bus.agents.version
                if self._refusing:
                    for public in list(self._sources):
                        await self._end(self._sources.pop(public), over=False)
                    await asyncio.get_running_loop().create_future()
                changed = self._bus.take_agents()
                if changed:
                    await self._look(changed)
                    continue
                await self._bus.agents.wait_past(version)

    async def _look(self, changed: set[str]) -> None:
        try:
            found = await self._reads.agents_by_id(sorted(changed))
        except Unavailable as error:
            log.warning("changed sources wait: the store failed", error=error.message)
            await self._clock.sleep(STORE_RETRY)
            self._bus.note_agents(changed)
            return
        for agent_id in changed - found.keys():
            self._wanted.pop(agent_id, None)
        self._note(found.values())
        await self._adjust()

    def _note(self, agents: Iterable[Agent]) -> None:
        for agent in agents:
            urls = () if agent.state in _NO_SOURCE else agent.spec.source_urls
            if urls:
                self._wanted[agent.id] = urls
            else:
                self._wanted.pop(agent.id, None)

    async def _adjust(self) -> None:
        """Begins sources that are wanted and ends those that are not."""
        wanted: dict[str, str] = {}
        for urls in self._wanted.values():
            for text in urls:
                # Two ways to write one URL, with other credentials perhaps, are one source.
                public = broker_url(text).public
                known = self._sources.get(public)
                if public not in wanted or (known is not None and known.text == text):
                    wanted[public] = text
        for public, source in list(self._sources.items()):
            # One whose credentials are written otherwise begins anew with them.
            if wanted.get(public) != source.text:
                await self._end(self._sources.pop(public), over=public not in wanted)
        for public, text in wanted.items():
            if public not in self._sources:
                self._begin(public, text)

    def _begin(self, public: str, text: str) -> None:
        source = Source(text, events=self._events, reach=self._reach, clock=self._clock, ids=self._ids)
        self._sources[public] = source

        def again(_id: str, _error: BaseException | None) -> None:
            if self._sources.pop(public, None) is source:
                self._begin(public, text)

        spec = ChildSpec(
            id=source.name,
            start=source.serve,
            rule=AWAY,
            on_give_up=again,
            outside=True,
            start_timeout=START_LIMIT,
        )
        self.supervisor.spawn(spec)

    async def _end(self, source: Source, *, over: bool) -> None:
        source.closed = True
        source.over = over
        try:
            await self.supervisor.terminate_child(source.name)
        except NotFound:
            return  # it has ended already
        log.info("events are no longer taken", source=source.url.public)
