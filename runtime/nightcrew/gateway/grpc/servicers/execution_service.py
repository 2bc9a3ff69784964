"""ExecutionService over gRPC; signals and steps are not built yet and answer UNIMPLEMENTED."""

from collections.abc import AsyncGenerator

from nightcrew.crew.bus import Signal
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import ListQuery, Page
from nightcrew.gateway.grpc.convert.execution import fill_execution, weight
from nightcrew.gateway.grpc.convert.log import fill_log
from nightcrew.gateway.grpc.methods import Method, stream, unary
from nightcrew.gateway.grpc.offload import converted
from nightcrew.gateway.grpc.requests import fill_page, query_of, reason_of, request_of, required
from nightcrew.gateway.grpc.servicers.watches import ExecutionWatches
from nightcrew.ports.clock import Clock
from nightcrew.services.fields import EXECUTION_ORDERS, EXECUTIONS, LOGS
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import execution_service_pb2 as pb


class ExecutionServicer:
    """Converts, calls the use case, converts back.

    Args:
        use_cases: What is called.
        clock: Dates heartbeats.
        closing: Once it is poked, watches end.
    """

    def __init__(self, use_cases: UseCases, *, clock: Clock, closing: Signal) -> None:
        self._executions = use_cases.executions
        self._logs = use_cases.logs
        self._watch = use_cases.watch
        self._closing = closing
        self._watches = ExecutionWatches(clock)

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "GetExecution": unary(pb.GetExecutionRequest, self.get),
            "ListExecutions": unary(pb.ListExecutionsRequest, self.list),
            "CancelExecution": unary(pb.CancelExecutionRequest, self.cancel),
            "RetryExecution": unary(pb.RetryExecutionRequest, self.retry),
            "ListLogs": unary(pb.ListLogsRequest, self.logs),
            "WatchExecution": stream(pb.WatchExecutionRequest, self.watch),
        }

    async def get(self, request: pb.GetExecutionRequest) -> pb.GetExecutionResponse:
        """Gives an execution."""
        execution = await self._executions.get(required(request.id, "id"))
        out = pb.GetExecutionResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def list(self, request: pb.ListExecutionsRequest) -> pb.ListExecutionsResponse:
        """Lists executions."""
        query = query_of(request, EXECUTIONS, EXECUTION_ORDERS, order_by=request.order_by)
        out = pb.ListExecutionsResponse()
        await fill_page(out, "executions", query, self._executions.page, fill_execution)
        return out

    async def cancel(self, request: pb.CancelExecutionRequest) -> pb.CancelExecutionResponse:
        """Cancels an execution, durably."""
        execution = await self._executions.cancel(
            required(request.id, "id"),
            reason=reason_of(request.reason),
            request=request_of(request, "ExecutionService/CancelExecution"),
        )
        out = pb.CancelExecutionResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def retry(self, request: pb.RetryExecutionRequest) -> pb.RetryExecutionResponse:
        """Runs one that has ended once more, as a new execution."""
        if request.HasField("from_step"):
            raise InvalidArgument.of("from_step", "is not built yet; leave it out", code="not_built")
        execution = await self._executions.retry(
            required(request.id, "id"), request=request_of(request, "ExecutionService/RetryExecution")
        )
        out = pb.RetryExecutionResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def logs(self, request: pb.ListLogsRequest) -> pb.ListLogsResponse:
        """Lists what an execution said."""
        execution_id = required(request.execution_id, "execution_id")

        async def read(query: ListQuery) -> Page[LogEntry]:
            return await self._logs.page(execution_id, query)

        out = pb.ListLogsResponse()
        await fill_page(out, "entries", query_of(request, LOGS), read, fill_log)
        return out

    def watch(self, request: pb.WatchExecutionRequest) -> AsyncGenerator[bytes, None]:
        """Streams what happens to an execution, until it has ended."""
        batches = self._watch.execution(
            required(request.id, "id"),
            include_snapshot=request.include_snapshot,
            resume_token=request.resume_token,
            closing=self._closing,
        )
        return self._watches.written(batches)
