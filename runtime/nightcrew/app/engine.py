"""Everything but the gateways, put together: the adapters are named here, and the supervision tree is grown.

rest_for_one, from left to right: store → log → hosts → executor → agents → catalog → keepers → gateways.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, Protocol

import structlog

from nightcrew.actor.child import ChildSpec, Ready
from nightcrew.actor.component import Component, Subtree
from nightcrew.actor.strategy import Strategy
from nightcrew.actor.supervisor import Supervisor
from nightcrew.app.components import after, opened
from nightcrew.app.couriers import couriers
from nightcrew.app.hosts import Hosts
from nightcrew.config.settings import Settings
from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import Commits
from nightcrew.crew.directory import Directory
from nightcrew.crew.dispatch import dispatch
from nightcrew.crew.executor import Executor
from nightcrew.crew.links import Links
from nightcrew.crew.log_writer import LogWriter
from nightcrew.crew.registry import Registry
from nightcrew.crew.waits import wake_parked
from nightcrew.domain.broker.grammar import BrokerKind
from nightcrew.hosts.router import resolve_isolation
from nightcrew.keepers.backfiller import Backfiller
from nightcrew.keepers.deliverer import Deliverer
from nightcrew.keepers.outbound.sender import Sender
from nightcrew.keepers.pruner import Pruner
from nightcrew.keepers.rescuer import Rescuer
from nightcrew.keepers.restarter import Restarter
from nightcrew.keepers.scheduler import Scheduler
from nightcrew.keepers.turnstile import Turnstile
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.keepers.waker import Waker
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.host import Host
from nightcrew.services.agents import AgentService
from nightcrew.services.apply import ApplyService
from nightcrew.services.backfills import BackfillService
from nightcrew.services.bulk import BulkService
from nightcrew.services.catalog import Catalog, Report
from nightcrew.services.deliveries import DeliveryService
from nightcrew.services.events import EventService
from nightcrew.services.executions import ExecutionService
from nightcrew.services.feed import EventFeed
from nightcrew.services.given import Given
from nightcrew.services.guard import Guard
from nightcrew.services.logs import LogService
from nightcrew.services.programs import ProgramService
from nightcrew.services.runtime import RuntimeService
from nightcrew.services.schedules import ScheduleService
from nightcrew.services.signal_urls import SignalUrlService
from nightcrew.services.skips import SkipService
from nightcrew.services.status import StatusService
from nightcrew.services.steps import StepService
from nightcrew.services.use_cases import UseCases
from nightcrew.services.watch import WatchService
from nightcrew.services.webhooks import WebhookService
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.addresses import Addresses
from nightcrew.system.outbound import HttpWayOut
from nightcrew.system.secrets import SystemSecrets
from nightcrew.system.zones import tzdata_version

START_LIMIT: Final = 120.0
"""Seconds that loading may take: 100,000 agents need several."""
STORE_CLOSE: Final = 30.0
GATEWAY_CLOSE: Final = 10.0

log = structlog.get_logger(__name__)


class Gateway(Protocol):
    """A way in for callers."""

    @property
    def port(self) -> int:
        """The port it serves on; 0 until it serves."""

    async def serve(self, ready: Ready) -> None:
        """Takes calls until it is cancelled."""

    def refuse(self) -> None:
        """Takes no new work from now on: the runtime drains."""


class Engine:
    """A runtime that callers in this process can use: `await run(ready)` serves until `drain()` or `stop()`.

    Args:
        settings: What `up` was told.
        paths: What `up` was given.
        prune: Delete agents whose source is gone.
        also: Agents that are at hand without a path.
        clock: The clock that everything in it uses.
        ids: Where identities and randomness come from.
        on_loop: Keep the store on the event loop (SqliteStore tells what for).
        around: Makes the host that runs are given to from those there are; by default their router is it.
        patience: Seconds that a keeper sleeps at most without a cause to wake.
        speaks: Whether what speaks to a kind of broker is there; by default every kind is taken.

    Attributes:
        ending: Whether it was told to stop, or has drained.
        addresses: Where connections to the outside may go.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Sequence[Path] = (),
        *,
        prune: bool = False,
        also: Sequence[Given] = (),
        clock: Clock,
        ids: Ids,
        on_loop: bool = False,
        around: Callable[[Hosts], Host] | None = None,
        patience: float = PATIENCE,
        speaks: Callable[[BrokerKind], bool] = lambda _kind: True,
    ) -> None:
        self.settings = settings
        self._prune = prune
        self._draining = False
        self.ending = False
        self.report = Report()
        self.secrets = SystemSecrets(settings.data, key=settings.secret_key.get_secret_value())
        self.store = SqliteStore(settings.data, clock=clock, ids=ids, vault=self.secrets, on_loop=on_loop)
        self.addresses = Addresses(settings.allowed, own_ports=self._own_ports)
        self.registry = Registry()
        self.guard = Guard(
            self.registry, kinds=settings.allow, allowed=settings.allowed, speaks=speaks, pools=settings.pools
        )
        self.bus = bus = Bus()
        pools = {name: spec.pool(name) for name, spec in settings.pools.items()}
        links = Links(base=self._base, token=self.secrets.token)
        self.commits = Commits(self.store, bus, ids, pools=pools, links=links)
        self.commits.dispatch_through(dispatch)
        self.logs = LogWriter(self.commits, clock)
        self.way_out = HttpWayOut(self.addresses)
        agent = f"nightcrew/{version('nightcrew')}"
        self.hosts = Hosts(settings, way_out=self.way_out, agent=agent, clock=clock, ids=ids)
        self.executor = Executor(
            commits=self.commits,
            registry=self.registry,
            host=around(self.hosts) if around else self.hosts.router,
            placement=resolve_isolation,
            logs=self.logs,
            secrets=self.secrets,
            clock=clock,
            ids=ids,
        )
        self.directory = Directory(
            supervisor=Supervisor("agents", clock=clock),
            commits=self.commits,
            executor=self.executor,
            clock=clock,
        )
        self.commits.tell_through(self.directory)
        self.catalog = Catalog(
            paths=paths,
            also=also,
            commits=self.commits,
            registry=self.registry,
            guard=self.guard,
            secrets=self.secrets,
            clock=clock,
        )
        reads = self.store.reads
        self.scheduler = Scheduler(
            commits=self.commits,
            reads=reads,
            bus=bus,
            clock=clock,
            zones=tzdata_version(),
            patience=patience,
        )
        self._rescuer = Rescuer(commits=self.commits, owners=self.executor, clock=clock, patience=patience)
        self._restarter = Restarter(commits=self.commits, bus=bus, clock=clock, patience=patience)
        self._waker = Waker(commits=self.commits, bus=bus, clock=clock, patience=patience)
        self._turnstile = Turnstile(
            commits=self.commits, reads=reads, bus=bus, clock=clock, patience=patience
        )
        self._backfiller = Backfiller(commits=self.commits, bus=bus, clock=clock, ids=ids, patience=patience)
        self._deliverer = Deliverer(commits=self.commits, bus=bus, clock=clock, patience=patience)
        self._pruner = Pruner(
            commits=self.commits, reads=reads, clock=clock, kept=settings.retention, patience=patience
        )
        feed = EventFeed(reads=reads, bus=bus)
        self._couriers = couriers(
            settings.outbound,
            sender=Sender(way_out=self.way_out, secrets=self.secrets, clock=clock, agent=agent),
            store=self.store,
            commits=self.commits,
            feed=feed,
            bus=bus,
            clock=clock,
            ids=ids,
        )
        deliveries = DeliveryService(
            commits=self.commits, reads=reads, clock=clock, hooks=[hook.name for hook in settings.outbound]
        )
        self.services = UseCases(
            agents=AgentService(commits=self.commits, reads=reads, guard=self.guard, clock=clock, ids=ids),
            apply=ApplyService(commits=self.commits, guard=self.guard, clock=clock),
            backfills=BackfillService(
                commits=self.commits, reads=reads, guard=self.guard, clock=clock, ids=ids
            ),
            bulk=BulkService(commits=self.commits, reads=reads, guard=self.guard, clock=clock, ids=ids),
            deliveries=deliveries,
            events=EventService(commits=self.commits, reads=reads, guard=self.guard, clock=clock, ids=ids),
            executions=ExecutionService(
                commits=self.commits, reads=reads, bus=bus, guard=self.guard, clock=clock, ids=ids
            ),
            logs=LogService(reads=reads),
            programs=ProgramService(registry=self.registry, reads=reads),
            schedules=ScheduleService(reads=reads, clock=clock),
            signal_urls=SignalUrlService(commits=self.commits, clock=clock),
            skips=SkipService(commits=self.commits, clock=clock),
            status=StatusService(
                reads=reads,
                restarts=lambda agent_id: (
                    self.directory.restarts(agent_id) + self._restarter.restarts(agent_id)
                ),
                filter_faults=self.commits.filter_faults.of,
                clock=clock,
            ),
            steps=StepService(commits=self.commits, reads=reads, clock=clock),
            webhooks=WebhookService(
                commits=self.commits,
                reads=reads,
                guard=self.guard,
                secrets=self.secrets,
                clock=clock,
                ids=ids,
            ),
            watch=WatchService(store=self.store, bus=bus, feed=feed, clock=clock),
            runtime=RuntimeService(
                store=self.store,
                clock=clock,
                version=version("nightcrew"),
                deliveries=deliveries,
                components=self.components,
                guard=self.guard,
                drain=self.drain,
            ),
        )
        self._clock = clock
        self._gateways: dict[str, Gateway] = {}
        self._subtrees: dict[str, Subtree] = {}
        self._root = Supervisor("nightcrew", clock=clock)

    def open_to(self, name: str, gateway: Gateway, *, subtree: Subtree | None = None) -> None:
        """Adds a way in, with the components below it if there are any; only before it runs."""
        self._gateways[name] = gateway
        if subtree is not None:
            self._subtrees[name] = subtree

    def _base(self) -> str:
        """Where callers reach the HTTP service; empty while it does not serve."""
        if self.settings.public_url:
            return self.settings.public_url
        web = self._gateways.get("web")
        host = self.settings.http.rpartition(":")[0]
        return f"http://{host}:{web.port}" if web is not None and web.port else ""

    def _own_ports(self) -> frozenset[int]:
        return frozenset(gateway.port for gateway in self._gateways.values()) - {0}

    def _children(self) -> list[ChildSpec]:
        clock = self._clock
        keepers = Supervisor(
            "keepers",
            [
                ChildSpec(id="rescuer", start=self._rescuer.serve, start_timeout=START_LIMIT),
                ChildSpec(id="waker", start=self._waker.serve),
                ChildSpec(id="turnstile", start=self._turnstile.serve, start_timeout=START_LIMIT),
                ChildSpec(id="restarter", start=self._restarter.serve, start_timeout=START_LIMIT),
                ChildSpec(id="scheduler", start=self.scheduler.serve, start_timeout=START_LIMIT),
                ChildSpec(id="backfiller", start=self._backfiller.serve),
                ChildSpec(id="deliverer", start=self._deliverer.serve),
                ChildSpec(id="pruner", start=self._pruner.serve),
                *self._couriers,
            ],
            clock=clock,
        )
        gateways = Supervisor(
            "gateways",
            [
                ChildSpec(
                    id=name,
                    start=gateway.serve,
                    start_timeout=START_LIMIT,
                    shutdown=GATEWAY_CLOSE,
                    subtree=self._subtrees.get(name),
                )
                for name, gateway in self._gateways.items()
            ],
            clock=clock,
        )
        return [
            ChildSpec(id="store", start=opened(self.store), start_timeout=START_LIMIT, shutdown=STORE_CLOSE),
            ChildSpec(id="log", start=self.logs.serve),
            ChildSpec(id="hosts", start=self.hosts.serve),
            ChildSpec(id="executor", start=self.executor.serve),
            self.directory.as_child(),
            ChildSpec(id="catalog", start=after(self._apply), start_timeout=START_LIMIT),
            keepers.as_child(),
            *([gateways.as_child()] if self._gateways else ()),
        ]

    async def _apply(self) -> None:
        self.report = await self.catalog.apply(prune=self._prune)
        now = self._clock.now()
        await self.commits.run(lambda tx, after: wake_parked(tx, after, now=now))
        await self.services.webhooks.check()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serves until it is drained or stopped.

        Raises:
            StartFailed: A component did not start; its `__cause__` says why.
            SupervisorGaveUp: A component failed too often.
        """
        self.catalog.discover()
        self._root = Supervisor(
            "nightcrew", self._children(), clock=self._clock, strategy=Strategy.REST_FOR_ONE
        )
        await self._root.run(ready)

    def components(self) -> list[Component]:
        """The supervision tree as it is now."""
        return self._root.components()

    def drain(self, seconds: float | None = None) -> None:
        """Takes no more work, lets what runs end within the grace time, then stops. Again: stops at once.

        Args:
            seconds: The grace time; None is the setting's.
        """
        if self._draining or not self.executor.serving:
            self.stop()
            return
        self._draining = True
        grace = self.settings.drain if seconds is None else seconds
        self.executor.do(self._drain(grace), name="drain")

    async def _drain(self, grace: float) -> None:
        log.info("draining", seconds=grace, running=self.executor.running)
        self.guard.close("the runtime is draining; try again when it is back")
        try:
            for gateway in self._gateways.values():
                gateway.refuse()
            self.scheduler.pause()
            self.directory.close()
            await self.executor.drain(grace)
        finally:
            self.stop()

    def stop(self) -> None:
        """Stops without waiting for what runs: it is interrupted, and goes on after the next start."""
        self.ending = True
        self._root.stop()
