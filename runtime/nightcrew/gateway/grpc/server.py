"""The gRPC gateway as a component: serves until it is cancelled, refuses first when the runtime drains."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
import structlog
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from nightcrew.crew.bus import Signal
from nightcrew.gateway.address import Address
from nightcrew.gateway.grpc.methods import handlers
from nightcrew.gateway.grpc.services import services
from nightcrew.gateway.status import Faults
from nightcrew.ports.clock import Clock, Ids
from nightcrew.services.use_cases import UseCases

MAX_REQUEST_BYTES: Final = 8 * 1024 * 1024
"""1 MiB of JSON is up to 6 MiB as a Struct (`[1,1,…]`: 2 bytes a number in JSON, 11 in protobuf)."""
MAX_RPCS: Final = 32_768
"""RPCs at once, watches included; more are answered RESOURCE_EXHAUSTED."""
CLOSE_GRACE: Final = 2.0
"""Seconds that calls under way get when the server stops."""
OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.so_reuseport", 0),  # else a second server would bind the same port in silence
    ("grpc.max_concurrent_streams", 16_384),
    # gRPC throws calls away at random (CANCELLED) when over 1,000 arrive faster than the loop takes them.
    ("grpc.server.max_pending_requests", MAX_RPCS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_RPCS),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", -1),  # an execution's input and result: the client's limit decides
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.enable_channelz", 1),
)

log = structlog.get_logger(__name__)


class GrpcGateway:
    """Serves the contract over gRPC, with health, reflection and channelz.

    Args:
        address: HOST:PORT; port 0 picks a free one.
        use_cases: What is served.
        clock: Dates heartbeats.
        ids: Names internal errors.
    """

    def __init__(self, address: str, use_cases: UseCases, *, clock: Clock, ids: Ids) -> None:
        self._address = Address.parse(address)
        self._use_cases = use_cases
        self._clock = clock
        self._faults = Faults(ids)
        self._refusing = asyncio.Event()
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
        """Says NOT_SERVING from now on; calls are still answered, as far as the use cases take them."""
        self._refusing.set()

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serves until it is cancelled: then streams end with UNAVAILABLE, and calls under way get a moment.

        Raises:
            AddressUnavailable: Something else has the port, or the host is not of this machine.
        """
        self._address.check()
        closing = Signal()
        server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_RPCS)
        served = services(self._use_cases, clock=self._clock, closing=closing)
        for service in served:
            server.add_generic_rpc_handlers((handlers(service, self._faults),))
        status = await _add_tools(server, [service.name for service in served])
        try:
            self._port = server.add_insecure_port(str(self._address))
        except RuntimeError as error:
            raise self._address.unavailable("the port can't be bound") from error
        try:
            await server.start()
            log.info("serving gRPC", address=self.address)
            ready()
            await self._refusing.wait()
            await status.enter_graceful_shutdown()
            await asyncio.get_running_loop().create_future()
        finally:
            await _close(server, status, closing)


async def _add_tools(server: grpc.aio.Server, names: list[str]) -> health.aio.HealthServicer:
    """Adds health, reflection and channelz; every service is SERVING."""
    status = health.aio.HealthServicer()
    for name in names:
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    channelz.add_channelz_servicer(server)
    tools = [health.SERVICE_NAME, reflection.SERVICE_NAME]
    tools += (service.full_name for service in channelz_pb2.DESCRIPTOR.services_by_name.values())
    reflection.enable_server_reflection([*names, *tools], server)
    return status


async def _close(server: grpc.aio.Server, status: health.aio.HealthServicer, closing: Signal) -> None:
    """New calls are refused, then streams and waits end by themselves; what is left is aborted after the grace."""
    await status.enter_graceful_shutdown()
    stopping = asyncio.ensure_future(server.stop(CLOSE_GRACE))
    closing.poke()
    await stopping
