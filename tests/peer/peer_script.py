"""What a test tells the peer to do out of the ordinary, and what the peer saw: an interceptor over every call."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status


def refusal(
    code, message, *, reason="", metadata=None, violations=(), retry_seconds=None, resource=None
) -> status_pb2.Status:
    """A status with google.rpc details, as the contract asks for."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="nightcrew", metadata=metadata or {})]
    if violations:
        bad = error_details_pb2.BadRequest()
        for path, description in violations:
            bad.field_violations.add(field=path, description=description)
        details.append(bad)
    if metadata and "state" in metadata:
        details.append(error_details_pb2.PreconditionFailure())
    if retry_seconds is not None:
        delay = Duration(seconds=int(retry_seconds), nanos=round(retry_seconds % 1 * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if resource:
        kind, name = resource
        details.append(error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name))
    status = status_pb2.Status(code=getattr(code_pb2, code), message=message)
    for one in details:
        packed = PackedAny()
        packed.Pack(one)
        status.details.append(packed)
    return status


class RefusedError(Exception):
    """Raised by a servicer; the interceptor ends the call with its status."""

    def __init__(self, status):
        super().__init__(status.message)
        self.status = status


def refuse(code, message, **facts):
    raise RefusedError(refusal(code, message, **facts))


@dataclass
class Script:
    """What to do with the next calls of a method, and what came in.

    `before[method]` are statuses to end calls with, `after[method]` the same once the call was carried out:
    the answer is lost on its way. A plain grpc.StatusCode ends the call without details.
    """

    calls: dict = field(default_factory=lambda: defaultdict(list))
    before: dict = field(default_factory=lambda: defaultdict(list))
    after: dict = field(default_factory=lambda: defaultdict(list))
    hold: dict = field(default_factory=dict)


class Recorder(grpc.aio.ServerInterceptor):
    def __init__(self, script: Script) -> None:
        self._script = script

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method.rsplit("/", 1)[1]
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, method, behaviour):
        async def call(request, context):
            await self._begin(method, request, context)
            try:
                response = await behaviour(request, context)
            except RefusedError as error:
                await context.abort_with_status(rpc_status.to_status(error.status))
            await _end(self._script.after[method], context)
            return response

        return call

    def _stream(self, method, behaviour):
        async def call(request, context):
            await self._begin(method, request, context)
            try:
                async for response in behaviour(request, context):
                    yield response
            except RefusedError as error:
                await context.abort_with_status(rpc_status.to_status(error.status))

        return call

    async def _begin(self, method, request, context):
        copy = type(request)()
        copy.CopyFrom(request)
        self._script.calls[method].append(copy)
        await _end(self._script.before[method], context)
        if method in self._script.hold:
            await asyncio.wait_for(self._script.hold[method].wait(), 20)


async def _end(planned, context):
    if not planned:
        return
    status = planned.pop(0)
    if status is None:
        return
    if isinstance(status, grpc.StatusCode):
        await context.abort(status, "scripted")
    await context.abort_with_status(rpc_status.to_status(status))
