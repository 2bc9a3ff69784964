"""Executions: looking at them, and what people can still do about them."""
# ruff: noqa: A002 - `filter` is the contract's name

from datetime import timedelta
from functools import cached_property
from typing import Any, Final, TypeAlias

from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.event import Event, Gap
from nightcrew.client.models.execution import BulkOutcome, Execution, ExecutionSnapshot
from nightcrew.client.models.log import LogEntry
from nightcrew.client.models.step import Progress, SignalUrl, Step
from nightcrew.client.pages import Page, Pages
from nightcrew.client.transport import Transport
from nightcrew.client.watch import Watch
from nightcrew.client.wire import events
from nightcrew.client.wire import executions as wire
from nightcrew.client.wire.times import to_duration
from nightcrew.client.wire.values import fill_value
from nightcrew.v1 import execution_service_pb2 as rpc
from nightcrew.v1 import execution_service_pb2_grpc, step_pb2

BULK: Final = timedelta(hours=1)
"""How much longer than others a call for very many executions may take."""

ExecutionItem: TypeAlias = ExecutionSnapshot | Event | LogEntry | Step | Progress | Gap
"""What a watch of an execution gives out."""


class Executions:
    """The face of nightcrew.v1.ExecutionService."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, execution_id: str) -> Execution:
        """Gives an execution.

        Raises:
            NotFound: There is none of that id.
        """
        request = rpc.GetExecutionRequest(id=execution_id)
        return wire.execution((await self._transport.unary(self._stub.GetExecution, request)).execution)

    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Execution]:
        """Executions, newest first unless `order_by` says otherwise.

        Args:
            filter: In AIP-160's language: `agent_id = "digest" AND state = "STATE_FAILED"`.
            order_by: A field, and `desc` where wanted.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[Execution]:
            request = rpc.ListExecutionsRequest(
                page_size=size, page_token=token, filter=filter, order_by=order_by
            )
            response = await self._transport.unary(self._stub.ListExecutions, request)
            return Page(tuple(wire.execution(one) for one in response.executions), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def cancel(
        self, execution_id: str, *, reason: str = "", request_id: str | None = None
    ) -> Execution:
        """Marks a cancel, durably; the execution answered is final, or has `cancel_requested`."""
        request = rpc.CancelExecutionRequest(
            id=execution_id, reason=reason, request_id=request_id or new_request_id()
        )
        return wire.execution((await self._transport.unary(self._stub.CancelExecution, request)).execution)

    async def retry(
        self,
        execution_id: str,
        *,
        from_step: str | tuple[str, int] | None = None,
        request_id: str | None = None,
    ) -> Execution:
        """Makes a new execution that names the given one as its cause.

        Args:
            execution_id: A final execution, or one that waits for code.
            from_step: Run from this step on (its name, or its name and ordinal); the journal answers for
                those before it.
            request_id: A UUID by which the server knows a repetition.

        Raises:
            FailedPrecondition: It has not ended.
        """
        request = rpc.RetryExecutionRequest(id=execution_id, request_id=request_id or new_request_id())
        if from_step is not None:
            name, ordinal = (from_step, 0) if isinstance(from_step, str) else from_step
            request.from_step.CopyFrom(step_pb2.StepRef(name=name, ordinal=ordinal))
        return wire.execution((await self._transport.unary(self._stub.RetryExecution, request)).execution)

    async def cancel_all(
        self, filter: str, *, reason: str = "", validate_only: bool = False, request_id: str | None = None
    ) -> BulkOutcome:
        """Cancels all executions that a filter finds and that have not ended.

        Args:
            filter: In AIP-160's language: `agent_id = "digest" AND state = "STATE_QUEUED"`.
            reason: Kept with each.
            validate_only: Only count.
            request_id: A UUID; repeated, it goes on where the first one was cut off.
        """
        request = rpc.CancelExecutionsRequest(
            filter=filter,
            reason=reason,
            validate_only=validate_only,
            request_id=request_id or new_request_id(),
        )
        return wire.bulk(
            (await self._transport.unary(self._stub.CancelExecutions, request, longer=BULK)).outcome
        )

    async def retry_all(
        self, filter: str, *, validate_only: bool = False, request_id: str | None = None
    ) -> BulkOutcome:
        """Retries all executions that a filter finds and that have ended, each once.

        Args:
            filter: In AIP-160's language: `agent_id = "digest" AND state = "STATE_FAILED"`.
            validate_only: Only count.
            request_id: A UUID; repeated, it goes on where the first one was cut off and retries none twice.
        """
        request = rpc.RetryExecutionsRequest(
            filter=filter, validate_only=validate_only, request_id=request_id or new_request_id()
        )
        return wire.bulk(
            (await self._transport.unary(self._stub.RetryExecutions, request, longer=BULK)).outcome
        )

    async def signal(
        self, execution_id: str, signal: str, payload: Any = None, *, request_id: str | None = None
    ) -> Execution:
        """Sends a signal, which is kept until it is waited for.

        Args:
            execution_id: The execution.
            signal: The signal's name.
            payload: What the waiting program gets: any JSON value.
            request_id: A UUID by which the server knows a repetition.

        Raises:
            FailedPrecondition: The execution has ended.
        """
        request = rpc.SignalExecutionRequest(
            id=execution_id, signal=signal, request_id=request_id or new_request_id()
        )
        if payload is not None:
            fill_value(request.payload, payload, "payload")
        return wire.execution((await self._transport.unary(self._stub.SignalExecution, request)).execution)

    async def signal_url(
        self,
        execution_id: str,
        signal: str,
        *,
        payload: Any = ...,
        ttl: timedelta | float | str = 0,
        request_id: str | None = None,
    ) -> SignalUrl:
        """Makes a one-time address that gives a signal: for an approval by mail or chat.

        Args:
            execution_id: The execution.
            signal: The signal's name.
            payload: What the signal brings, whatever is sent to the address; if it is not given, that is what is sent.
            ttl: How long the address is good for: a timedelta, seconds, or text such as `3600s`; 7 days by default.
            request_id: A UUID by which the server knows a repetition.

        Raises:
            FailedPrecondition: The execution has ended, or the HTTP service is off.
        """
        request = rpc.CreateSignalUrlRequest(
            id=execution_id, signal=signal, request_id=request_id or new_request_id()
        )
        if payload is not ...:
            fill_value(request.payload, payload, "payload")
        if ttl:
            request.ttl.CopyFrom(to_duration(ttl, "ttl"))
        return wire.signal_url(await self._transport.unary(self._stub.CreateSignalUrl, request))

    def steps(self, execution_id: str, *, page_size: int = 200) -> Pages[Step]:
        """An execution's journaled steps, in the order in which they began."""

        async def fetch(size: int, token: str) -> Page[Step]:
            request = rpc.ListStepsRequest(execution_id=execution_id, page_size=size, page_token=token)
            response = await self._transport.unary(self._stub.ListSteps, request)
            return Page(tuple(wire.step(one) for one in response.steps), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    def logs(self, execution_id: str, *, filter: str = "", page_size: int = 1000) -> Pages[LogEntry]:
        """What an execution said, oldest first.

        Args:
            execution_id: The execution.
            filter: In AIP-160's language, over `severity`, `stream`, `time` and `sequence`.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[LogEntry]:
            request = rpc.ListLogsRequest(
                execution_id=execution_id, page_size=size, page_token=token, filter=filter
            )
            response = await self._transport.unary(self._stub.ListLogs, request)
            return Page(tuple(wire.log_entry(one) for one in response.entries), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    def watch(
        self, execution_id: str, *, include_snapshot: bool = False, resume_token: str = ""
    ) -> Watch[ExecutionItem]:
        """Watches one execution: its events, its log, its steps; ends when it has ended. See Watch.

        Args:
            execution_id: The execution.
            include_snapshot: Begin with the execution as it is.
            resume_token: Go on after what an earlier watch has given out; without one, from its beginning.
        """
        return Watch(
            self._transport,
            lambda: self._stub.WatchExecution,
            rpc.WatchExecutionRequest(
                id=execution_id, include_snapshot=include_snapshot, resume_token=resume_token
            ),
            readers={
                "snapshot": wire.snapshot,
                "event": events.event,
                "log": wire.log_entry,
                "step": wire.step,
                "progress": wire.progress,
                "gap": events.gap,
            },
            ends=True,
        )

    async def wait(self, execution_id: str) -> Execution:
        """Waits for the end of an execution, over restarts of the server too, and gives it.

        Put `asyncio.timeout` round it for a limit.
        """
        async with self.watch(execution_id, include_snapshot=True) as watch:
            async for _ in watch:
                pass
        return await self.get(execution_id)

    @cached_property
    def _stub(self) -> "execution_service_pb2_grpc.ExecutionServiceAsyncStub":
        return execution_service_pb2_grpc.ExecutionServiceStub(self._transport.channel)
