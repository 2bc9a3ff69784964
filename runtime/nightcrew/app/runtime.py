"""The runtime that `nightcrew up` serves: the engine behind its gateways."""

from collections.abc import Sequence
from pathlib import Path

from nightcrew.app.engine import Engine
from nightcrew.config.settings import OFF, Settings
from nightcrew.gateway.brokers.adapters import installed
from nightcrew.gateway.brokers.gateway import BrokerGateway
from nightcrew.gateway.brokers.reach import Reach
from nightcrew.gateway.grpc.server import GrpcGateway
from nightcrew.gateway.web.browsers import Ours
from nightcrew.gateway.web.server import WebGateway
from nightcrew.ports.clock import Clock, Ids


class Runtime(Engine):
    """One Nightcrew runtime: `await run(ready)` serves until `drain()` or `stop()` was called.

    Args:
        settings: What `up` was told.
        paths: What `up` was given.
        prune: Delete agents whose source is gone.
        clock: The clock that everything in it uses.
        ids: Where identities and randomness come from.

    Attributes:
        gateway: gRPC.
        web: HTTP, or None if it is off.
    """

    def __init__(
        self, settings: Settings, paths: Sequence[Path] = (), *, prune: bool = False, clock: Clock, ids: Ids
    ) -> None:
        super().__init__(settings, paths, prune=prune, clock=clock, ids=ids, speaks=installed)
        self.gateway = GrpcGateway(settings.grpc, self.services, clock=clock, ids=ids)
        self.open_to("grpc", self.gateway)
        self.web: WebGateway | None = None
        if settings.http != OFF:
            ours = Ours(hosts=settings.hosts, origins=settings.origins)
            self.web = WebGateway(settings.http, self.services, clock=clock, ids=ids, ours=ours)
            self.open_to("web", self.web)
        brokers = BrokerGateway(
            events=self.services.events,
            reads=self.store.reads,
            bus=self.bus,
            reach=Reach(self.addresses.checked, self.secrets),
            clock=clock,
            ids=ids,
        )
        self.open_to("brokers", brokers, subtree=brokers.supervisor)
