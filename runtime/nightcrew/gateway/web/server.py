"""The HTTP gateway as a component: uvicorn in the runtime's own loop, serving until it is cancelled."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import structlog
import uvicorn

from nightcrew.crew.bus import Signal
from nightcrew.gateway.address import Address
from nightcrew.gateway.web.app import LOOPBACK_ONLY, application
from nightcrew.gateway.web.browsers import Ours
from nightcrew.gateway.web.connection import Connection
from nightcrew.ports.clock import Clock, Ids
from nightcrew.services.use_cases import UseCases

BACKLOG: Final = 2048
KEEP_ALIVE: Final = 60
"""Seconds that an idle connection is kept."""
CLOSE_GRACE: Final = 2
"""Seconds that calls under way get when the server stops."""

log = structlog.get_logger(__name__)


class WebGateway:
    """Serves HTTP.

    Args:
        address: HOST:PORT; port 0 picks a free one.
        use_cases: What is served.
        clock: Dates what is served.
        ids: Names internal errors.
        ours: Which hosts and origins are right.
    """

    def __init__(
        self, address: str, use_cases: UseCases, *, clock: Clock, ids: Ids, ours: Ours = LOOPBACK_ONLY
    ) -> None:
        self._address = Address.parse(address, protocol="HTTP")
        self._use_cases = use_cases
        self._clock = clock
        self._ids = ids
        self._ours = ours
        self._port = 0

    @property
    def port(self) -> int:
        """The port it serves on; 0 until it serves."""
        return self._port

    @property
    def address(self) -> str:
        """HOST:PORT that it serves on."""
        return str(Address(self._address.host, self._port))

    def refuse(self) -> None:
        """Calls are still answered, as far as the use cases take them: new work is not (503)."""

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serves until it is cancelled: then waits end, and calls under way get a moment.

        Raises:
            AddressUnavailable: Something else has the port, or the host is not of this machine.
        """
        closing = Signal()
        self._address.check()
        listener = _bound(self._address)
        self._port = listener.getsockname()[1]

        def started() -> None:
            log.info("serving HTTP", address=self.address)
            ready()

        server = _Server(self._config(closing), started)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]), name="http")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                closing.poke()
                server.should_exit = True
                await asyncio.wait([serving])

    def _config(self, closing: Signal) -> uvicorn.Config:
        app = application(self._use_cases, clock=self._clock, ids=self._ids, closing=closing, ours=self._ours)
        return uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=CLOSE_GRACE,
        )


class _Server(uvicorn.Server):
    """Tells when it serves, and leaves signals to the runtime."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        made = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
        # Taken anew by its number it knows that it is TCP. What it accepts does too then, and asyncio lets nothing
        # wait: else each answer on a kept connection comes 40 ms late, with the client's delayed acknowledgement.
        return socket.socket(fileno=made.detach())
    except OSError as error:
        raise address.unavailable(error.strerror or str(error)) from error
