"""The runtime itself: its figures, its supervision tree, and draining it."""

from datetime import timedelta
from functools import cached_property

from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.runtime import Component, Runtime
from nightcrew.client.pages import Page, Pages
from nightcrew.client.transport import Transport
from nightcrew.client.wire import runtime as wire
from nightcrew.client.wire.times import to_duration
from nightcrew.v1 import runtime_service_pb2 as rpc
from nightcrew.v1 import runtime_service_pb2_grpc


class RuntimeFace:
    """The face of nightcrew.v1.RuntimeService."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self) -> Runtime:
        """The runtime's figures."""
        response = await self._transport.unary(self._stub.GetRuntime, rpc.GetRuntimeRequest())
        return wire.runtime(response.runtime)

    def components(self, *, page_size: int = 1000) -> Pages[Component]:
        """The supervision tree as it stands, parents before their children."""

        async def fetch(size: int, token: str) -> Page[Component]:
            request = rpc.ListComponentsRequest(page_size=size, page_token=token)
            response = await self._transport.unary(self._stub.ListComponents, request)
            return Page(tuple(wire.component(one) for one in response.components), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def drain(
        self, *, grace: timedelta | float | None = None, reason: str = "", request_id: str | None = None
    ) -> Runtime:
        """Lets the runtime drain as SIGTERM does: no new work, running work gets its grace, then it ends.

        Args:
            grace: How long running work has to end; as the runtime was configured by default.
            reason: Why, for people.
            request_id: A UUID by which the server knows a repetition.
        """
        request = rpc.DrainRuntimeRequest(reason=reason, request_id=request_id or new_request_id())
        if grace is not None:
            request.grace.CopyFrom(to_duration(grace, "grace"))
        return wire.runtime((await self._transport.unary(self._stub.DrainRuntime, request)).runtime)

    @cached_property
    def _stub(self) -> "runtime_service_pb2_grpc.RuntimeServiceAsyncStub":
        return runtime_service_pb2_grpc.RuntimeServiceStub(self._transport.channel)
