"""RuntimeService over gRPC: figures, the supervision tree, the drain."""

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.page import page_size
from nightcrew.gateway.grpc.convert.runtime import fill_component, runtime_message
from nightcrew.gateway.grpc.convert.times import duration_of
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import runtime_service_pb2 as pb


class RuntimeServicer:
    """Converts, calls the use case, converts back."""

    def __init__(self, use_cases: UseCases) -> None:
        self._runtime = use_cases.runtime

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "GetRuntime": unary(pb.GetRuntimeRequest, self.get),
            "ListComponents": unary(pb.ListComponentsRequest, self.components),
            "DrainRuntime": unary(pb.DrainRuntimeRequest, self.drain),
        }

    async def get(self, _request: pb.GetRuntimeRequest) -> pb.GetRuntimeResponse:
        """Gives the runtime's figures."""
        return pb.GetRuntimeResponse(runtime=runtime_message(await self._runtime.info()))

    async def components(self, request: pb.ListComponentsRequest) -> pb.ListComponentsResponse:
        """Lists the supervision tree."""
        page = self._runtime.components(page_size=page_size(request.page_size), page_token=request.page_token)
        out = pb.ListComponentsResponse(next_page_token=page.next_page_token)
        for component in page.items:
            fill_component(out.components.add(), component)
        return out

    async def drain(self, request: pb.DrainRuntimeRequest) -> pb.DrainRuntimeResponse:
        """Begins the drain. One that has begun goes on as it is, so that a repeated request does nothing."""
        grace = None
        if request.HasField("grace"):
            grace = duration_of(request.grace, "grace").total_seconds()
            if grace < 0:
                raise InvalidArgument.of("grace", "must not be negative")
        self._runtime.drain(grace=grace)
        out = runtime_message(await self._runtime.info())
        out.draining = True
        return pb.DrainRuntimeResponse(runtime=out)
