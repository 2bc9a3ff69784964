"""RPCs as handlers over bytes: read the request, call, write the answer; every fault becomes a proper status.

grpc.aio answers what escapes a handler, a (de)serializer included, with UNKNOWN and the exception's text. So
each handler is one function from bytes to bytes that lets nothing out but statuses and CancelledError.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc.aio import ServicerContext
from grpc_status import rpc_status

from nightcrew.domain.errors import InvalidArgument, NightcrewError, Unimplemented
from nightcrew.gateway.status import Faults, status_of

Request = TypeVar("Request", bound=Message)
Context: TypeAlias = ServicerContext[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Unary:
    """An RPC with one answer."""

    read: Callable[[bytes], Message]
    call: Callable[[Any], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Stream:
    """An RPC with many answers, which come serialised: what is the same for all watchers is made once."""

    read: Callable[[bytes], Message]
    call: Callable[[Any], AsyncGenerator[bytes, None]]


Method: TypeAlias = Unary | Stream


def unary(request: type[Request], call: Callable[[Request], Awaitable[Message]]) -> Unary:
    """The method that answers a request of that type once."""
    return Unary(request.FromString, call)


def stream(request: type[Request], call: Callable[[Request], AsyncGenerator[bytes, None]]) -> Stream:
    """The method that answers a request of that type with a stream; `call` is an async generator."""
    return Stream(request.FromString, call)


def handlers(
    service: ServiceDescriptor, methods: Mapping[str, Method], faults: Faults
) -> grpc.GenericRpcHandler:
    """The handlers of a service of the contract; what has no method answers UNIMPLEMENTED."""
    unknown = methods.keys() - {method.name for method in service.methods}
    if unknown:
        raise AssertionError(f"{service.full_name} has no {', '.join(sorted(unknown))}")
    made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for described in service.methods:
        where = f"{service.full_name}/{described.name}"
        match methods.get(described.name):
            case Unary() as method:
                made[described.name] = grpc.unary_unary_rpc_method_handler(_unary(method, where, faults))
            case Stream() as method:
                made[described.name] = grpc.unary_stream_rpc_method_handler(_stream(method, where, faults))
            case None:
                make = (
                    grpc.unary_stream_rpc_method_handler
                    if described.server_streaming
                    else grpc.unary_unary_rpc_method_handler
                )
                made[described.name] = make(_missing(where))
    return grpc.method_handlers_generic_handler(service.full_name, made)


def _unary(method: Unary, where: str, faults: Faults) -> Callable[[bytes, Context], Awaitable[bytes]]:
    read, call = method.read, method.call

    async def handle(raw: bytes, context: Context) -> bytes:
        try:
            answer = await call(read(raw))
            return answer.SerializeToString()
        except Exception as error:  # noqa: BLE001 - the border: what is not foreseen is INTERNAL, and logged
            await _abort(context, _known(error, where, faults))

    return handle


def _stream(method: Stream, where: str, faults: Faults) -> Callable[[bytes, Context], Awaitable[None]]:
    read, call = method.read, method.call

    async def handle(raw: bytes, context: Context) -> None:
        try:
            # aclosing: a caller that leaves ends what the stream waits for at once.
            async with aclosing(call(read(raw))) as answers:
                async for answer in answers:
                    await context.write(answer)
        except Exception as error:  # noqa: BLE001 - as above
            await _abort(context, _known(error, where, faults))

    return handle


def _missing(where: str) -> Callable[[bytes, Context], Awaitable[Any]]:
    async def handle(_raw: bytes, context: Context) -> Any:
        await _abort(context, Unimplemented(f"{where} is not built yet", metadata={"method": where}))

    return handle


def _known(error: Exception, where: str, faults: Faults) -> NightcrewError:
    if isinstance(error, DecodeError):
        return InvalidArgument(
            f"the request is no message that {where} takes: {error}", code="malformed_request"
        )
    return faults.known(error, where=where)


async def _abort(context: Context, error: NightcrewError) -> NoReturn:
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort always raises")
