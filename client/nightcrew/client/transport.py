"""The channel to one server: made when first used, and unary calls on it with deadline and retries."""

import asyncio
import weakref
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio

from nightcrew.client.decode import from_rpc
from nightcrew.client.errors import Cancelled, Closed, NightcrewClientError, Unavailable
from nightcrew.client.retry import RetryPolicy

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

_OPTIONS: tuple[tuple[str, Any], ...] = (
    # The server bounds what it sends by page sizes that the caller chose.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A runtime restarts within 2 s: gRPC's own back-off (1 s to 120 s) would make our retries wait for nothing.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Two clients of one process don't share the back-off of a lost connection.
    ("grpc.use_local_subchannel_pool", 1),
)
_LOOPBACK = ("127.", "localhost:", "[::1]:", "unix:")


class Stream(Protocol):
    """Something open that ends with its client."""

    async def aclose(self) -> None:
        """Ends it."""


class Transport:
    """What all services of a client share.

    Args:
        address: `HOST:PORT` or `unix:PATH`.
        timeout: Seconds that a call may take, its retries included.
        retry: How calls that meet an unavailable server are tried again.
        credentials: For TLS; plain text without.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float,
        retry: RetryPolicy,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        if timeout <= 0:
            raise ValueError(f"timeout: must be more than 0 seconds, not {timeout}")
        self.address = address
        self.timeout = timeout
        self.retry = retry
        self._credentials = credentials
        self._channel: grpc.aio.Channel | None = None
        self._closed = False
        self.streams: weakref.WeakSet[Stream] = weakref.WeakSet()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel; made at the first use, because it belongs to the loop that is running then.

        Raises:
            Closed: It was closed; gRPC aborts the whole process when a closed channel is given a stub.
        """
        self.ensure_open()
        if self._channel is None:
            options = list(_OPTIONS)
            if self.address.startswith(_LOOPBACK):
                # An http_proxy of the environment is not meant for a runtime on this machine.
                options.append(("grpc.enable_http_proxy", 0))
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(self.address, options=options)
            else:
                self._channel = grpc.aio.secure_channel(self.address, self._credentials, options=options)
        return self._channel

    def ensure_open(self) -> None:
        """Raises Closed once the client was closed."""
        if self._closed:
            raise Closed

    async def unary(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        *,
        wait: timedelta | None = None,
        longer: timedelta = timedelta(0),
    ) -> ResponseT:
        """The answer to one request, tried again while the server is unavailable.

        Args:
            method: The stub's method.
            request: The request; sent again as it is, so that its request id stays the same.
            wait: How long the server may wait before it answers (the request's own field `wait`): it comes
                on top of the timeout, and a retry asks for what is left of it.
            longer: How much longer than others the call may take.

        Raises:
            NightcrewClientError: The server refused, or could not be reached.
        """
        self.ensure_open()
        loop = asyncio.get_running_loop()
        start = loop.time()
        patience = self.timeout + (wait.total_seconds() if wait else 0.0) + longer.total_seconds()
        failures = 0
        while True:
            left = patience - (loop.time() - start)
            try:
                return await method(request, timeout=max(left, 0.001))
            except grpc.aio.AioRpcError as error:
                raised = from_rpc(error)
                failures += 1
                delay = self._delay(raised, failures)
                if delay is None or loop.time() - start + delay >= patience:
                    raise raised from None
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and not (task and task.cancelling()):
                    raise Closed from None  # it was the channel that was cancelled, not the caller
                raise
            await asyncio.sleep(delay)
            self.ensure_open()
            if wait is not None:
                rest = max(wait - timedelta(seconds=loop.time() - start), timedelta())
                request.wait.FromTimedelta(rest)  # type: ignore[attr-defined]  # callers that wait have the field

    async def close(self) -> None:
        """Ends the channel; calls under way raise Closed."""
        self._closed = True
        for stream in tuple(self.streams):
            await stream.aclose()
        if self._channel is not None:
            await self._channel.close()

    def _delay(self, error: NightcrewClientError, failures: int) -> float | None:
        """Seconds before the next try; None when there is none."""
        # CANCELLED, when it was not us, is a server that stopped just as the call arrived.
        if not isinstance(error, (Unavailable, Cancelled)) or failures >= self.retry.attempts:
            return None
        asked = error.retry_delay.total_seconds() if error.retry_delay else 0.0
        return max(self.retry.delay(failures), asked)
