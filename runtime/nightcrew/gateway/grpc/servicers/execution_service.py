"""ExecutionService over gRPC."""

from collections.abc import AsyncGenerator

from nightcrew.crew.bus import Signal
from nightcrew.domain.filter import parse
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import ListQuery, Page, page_size
from nightcrew.domain.step import Step
from nightcrew.domain.values import checked
from nightcrew.gateway.grpc.convert.execution import fill_execution, weight
from nightcrew.gateway.grpc.convert.log import fill_log
from nightcrew.gateway.grpc.convert.step import fill_step
from nightcrew.gateway.grpc.convert.times import duration_of, fill_time
from nightcrew.gateway.grpc.convert.values import value_of
from nightcrew.gateway.grpc.methods import Method, stream, unary
from nightcrew.gateway.grpc.offload import converted
from nightcrew.gateway.grpc.requests import fill_page, query_of, reason_of, request_of, required
from nightcrew.gateway.grpc.servicers.watches import ExecutionWatches
from nightcrew.ports.clock import Clock
from nightcrew.services.bulk import Outcome
from nightcrew.services.fields import EXECUTION_ORDERS, EXECUTIONS, LOGS
from nightcrew.services.use_cases import UseCases
from nightcrew.v1 import execution_service_pb2 as pb
from nightcrew.v1 import step_pb2


class ExecutionServicer:
    """Converts, calls the use case, converts back.

    Args:
        use_cases: What is called.
        clock: Dates heartbeats.
        closing: Once it is poked, watches end.
    """

    def __init__(self, use_cases: UseCases, *, clock: Clock, closing: Signal) -> None:
        self._executions = use_cases.executions
        self._steps = use_cases.steps
        self._logs = use_cases.logs
        self._bulk = use_cases.bulk
        self._urls = use_cases.signal_urls
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
            "CancelExecutions": unary(pb.CancelExecutionsRequest, self.cancel_all),
            "RetryExecutions": unary(pb.RetryExecutionsRequest, self.retry_all),
            "SignalExecution": unary(pb.SignalExecutionRequest, self.signal),
            "CreateSignalUrl": unary(pb.CreateSignalUrlRequest, self.signal_url),
            "ListSteps": unary(pb.ListStepsRequest, self.steps),
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
        start = request.from_step
        execution = await self._executions.retry(
            required(request.id, "id"),
            from_step=(required(start.name, "from_step.name"), start.ordinal)
            if request.HasField("from_step")
            else None,
            request=request_of(request, "ExecutionService/RetryExecution"),
        )
        out = pb.RetryExecutionResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def cancel_all(self, request: pb.CancelExecutionsRequest) -> pb.CancelExecutionsResponse:
        """Cancels all that a filter finds."""
        outcome = await self._bulk.cancel(
            parse(request.filter, EXECUTIONS),
            reason=reason_of(request.reason),
            validate_only=request.validate_only,
            request=request_of(request, "ExecutionService/CancelExecutions"),
        )
        return pb.CancelExecutionsResponse(outcome=_outcome(outcome))

    async def retry_all(self, request: pb.RetryExecutionsRequest) -> pb.RetryExecutionsResponse:
        """Retries all that a filter finds."""
        outcome = await self._bulk.retry(
            parse(request.filter, EXECUTIONS),
            validate_only=request.validate_only,
            request=request_of(request, "ExecutionService/RetryExecutions"),
        )
        return pb.RetryExecutionsResponse(outcome=_outcome(outcome))

    async def signal(self, request: pb.SignalExecutionRequest) -> pb.SignalExecutionResponse:
        """Sends a signal; it is kept until the program waits for it."""
        execution = await self._steps.signal(
            required(request.id, "id"),
            required(request.signal, "signal"),
            value_of(request.payload, "payload") if request.HasField("payload") else None,
            request=request_of(request, "ExecutionService/SignalExecution"),
        )
        out = pb.SignalExecutionResponse()
        await converted(weight(execution), fill_execution, out.execution, execution)
        return out

    async def signal_url(self, request: pb.CreateSignalUrlRequest) -> pb.CreateSignalUrlResponse:
        """Makes a one-time address that gives a signal."""
        given = request.HasField("payload")
        made = await self._urls.create(
            required(request.id, "id"),
            required(request.signal, "signal"),
            payload=checked(value_of(request.payload, "payload"), field="payload") if given else None,
            ttl=duration_of(request.ttl, "ttl"),
            request=request_of(request, "ExecutionService/CreateSignalUrl"),
        )
        out = pb.CreateSignalUrlResponse(url=made.url)
        fill_time(out.expire_time, made.expire_time)
        return out

    async def steps(self, request: pb.ListStepsRequest) -> pb.ListStepsResponse:
        """Lists an execution's journal."""
        execution_id = required(request.execution_id, "execution_id")

        async def read(query: ListQuery) -> Page[Step]:
            return await self._steps.page(execution_id, query)

        def fill(out: step_pb2.Step, step: Step) -> None:
            out.execution_id = execution_id
            fill_step(out, step)

        query = ListQuery(page_size=page_size(request.page_size), page_token=request.page_token)
        out = pb.ListStepsResponse()
        await fill_page(out, "steps", query, read, fill)
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


def _outcome(outcome: Outcome) -> pb.BulkOutcome:
    out = pb.BulkOutcome(matched=outcome.matched, done=outcome.done, failed=outcome.failed)
    for one in outcome.failures:
        out.failures.add(execution_id=one.execution_id, reason=one.error.code, message=one.error.message)
    return out
