"""Watches: async iterators over a stream that reconnect and resume by themselves, without loss or doubles."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Self, TypeVar

import grpc
import grpc.aio

from nightcrew.client.decode import from_rpc
from nightcrew.client.errors import Cancelled, Closed, NightcrewClientError, NotReachable, Unavailable
from nightcrew.client.transport import Transport

ItemT = TypeVar("ItemT")

SILENCE: Final = 45.0
"""Seconds without any answer after which a stream is given up: three of the server's heartbeats."""


class Watch(Generic[ItemT]):
    """What happens, as it happens: `async for item in watch`.

    When the connection is lost, or the server restarts, it reconnects with back-off and goes on after the last
    item that it received; this never ends once the server has been reached. Errors other than that raise.
    A snapshot is given out when it is complete: of two halves from two connections none would be true.

    Use it as `async with … as watch`, or call `aclose`. One task at a time may iterate it; one that is
    cancelled while it waits loses nothing.

    Args:
        transport: The client's.
        method: The stub's streaming method.
        request: The first request.
        readers: For each kind of item that is given out, how it is read; other kinds (heartbeats) are not.
        ends: Whether the server ends the stream when there will be nothing more.
        silence: Seconds without any answer after which the stream is given up and opened anew.
    """

    def __init__(
        self,
        transport: Transport,
        method: Callable[[], grpc.aio.UnaryStreamMultiCallable[Any, Any]],
        request: Any,
        *,
        readers: Mapping[str, Callable[[Any], ItemT]],
        ends: bool = False,
        silence: float = SILENCE,
    ) -> None:
        self._transport = transport
        self._retry = transport.retry
        self._method = method
        self._request = request
        self._readers = readers
        self._ends = ends
        self._silence = silence
        self._call: grpc.aio.UnaryStreamCall[Any, Any] | None = None
        # The read under way outlives a cancelled `anext`, so that a timeout round it costs no connection.
        self._reading: asyncio.Task[Any] | None = None
        self._items: deque[Any] = deque()
        self._held: list[Any] = []
        self._given: str = request.resume_token
        self._failures = 0
        self._reached = False
        self._ended = False
        self._closing = asyncio.Event()
        transport.streams.add(self)

    @property
    def resume_token(self) -> str:
        """Where a later watch goes on after what this one has given out; empty before there is a token.

        The server makes one token for many items: in the midst of them it is still that of those before.
        """
        return self._given

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        while not self._items:
            if not await self._receive():
                raise StopAsyncIteration
        item = self._items.popleft()
        if not self._items:
            self._given = self._request.resume_token
        kind = item.WhichOneof("item")
        return self._readers[kind](getattr(item, kind))

    async def opened(self) -> Self:
        """Waits until the server has answered: nothing that happens from then on can be missed.

        Raises:
            NightcrewClientError: The server refused, or could not be reached.
        """
        while not self._reached and await self._receive():
            pass
        return self

    async def aclose(self) -> None:
        """Ends the watch; an iteration under way ends as if there were nothing more."""
        self._ended = True
        self._closing.set()
        self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _receive(self) -> bool:
        """Waits for one more answer of the server; False when there will be none."""
        while not self._ended:
            try:
                response = await self._read()
            except (Unavailable, Cancelled) as lost:
                # CANCELLED, when it was not us, is a server that was stopped amid the stream.
                if not self._ended:
                    await self._pause(lost)
                continue
            if response is not None:
                self._reached = True
                self._failures = 0
                self._take(response)
                return True
            if self._ends:
                self._ended = True
            elif not self._ended:
                await self._pause(NotReachable("the server ended the stream"))
        return False

    async def _read(self) -> Any:
        """One answer; None when the stream has ended."""
        if self._call is None:
            self._transport.ensure_open()
            self._call = self._method()(self._request)
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._call.read())
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=self._silence)
        if not done:
            self._drop()
            raise NotReachable(f"the server gave no sign of life for {self._silence:g} s")
        self._reading = None
        if reading.cancelled():
            self._drop()
            if self._ended:
                return None
            raise Closed
        try:
            response = reading.result()
        except grpc.aio.AioRpcError as error:
            self._drop()
            raise from_rpc(error) from None
        if response is grpc.aio.EOF:
            self._drop()
            return None
        return response

    def _take(self, response: Any) -> None:
        """Keeps what is to be given out, and where to go on after it."""
        kinds = [(item, item.WhichOneof("item")) for item in response.items]
        self._held += (item for item, kind in kinds if kind in self._readers)
        if self._held and _amid_snapshot(self._held[-1]):
            return
        self._request.resume_token = response.resume_token or self._request.resume_token
        self._items.extend(self._held)
        self._held.clear()
        if not self._items:
            self._given = self._request.resume_token

    def _drop(self) -> None:
        """Forgets the connection, and a snapshot that did not come to its end on it."""
        self._held.clear()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def _pause(self, lost: NightcrewClientError) -> None:
        self._failures += 1
        if not self._reached and self._failures >= self._retry.attempts:
            raise lost
        asked = lost.retry_delay.total_seconds() if lost.retry_delay else 0.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(asked, self._retry.delay(self._failures))):
                await self._closing.wait()


def _amid_snapshot(item: Any) -> bool:
    return item.WhichOneof("item") == "snapshot" and not item.snapshot.last
