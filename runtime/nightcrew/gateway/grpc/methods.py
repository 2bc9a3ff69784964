"""RPCs as handlers over bytes: read the request, call, write the answer; every fault becomes a proper status.

grpc.aio answers what escapes a handler, a (de)serializer included, with UNKNOWN and the exception's text. So
each handler is one function from bytes to bytes that lets nothing out but statuses and CancelledError.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
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


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC of the contract and what answers it.

    Attributes:
        path: `nightcrew.v1.AgentService/GetAgent`.
        descriptor: What the contract says of it.
        method: What answers it.
    """

    path: str
    descriptor: MethodDescriptor
    method: Method


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the contract: all its RPCs, those included that are not built."""

    name: str
    rpcs: Sequence[Rpc]

    @classmethod
    def of(cls, module: ModuleType, name: str, methods: Mapping[str, Method]) -> "Service":
        """The service of that name in a generated module; what has no method answers UNIMPLEMENTED."""
        service: ServiceDescriptor = module.DESCRIPTOR.services_by_name[name]
        unknown = methods.keys() - service.methods_by_name.keys()
        if unknown:
            raise AssertionError(f"{service.full_name} has no {', '.join(sorted(unknown))}")
        rpcs = []
        for described in service.methods:
            path = f"{service.full_name}/{described.name}"
            rpcs.append(Rpc(path, described, methods.get(described.name) or _missing(path, described)))
        return cls(service.full_name, rpcs)


def _missing(path: str, described: MethodDescriptor) -> Method:
    error = Unimplemented(f"{path} is not built yet", metadata={"method": path})

    async def call(_request: Message) -> Message:
        raise error

    async def stream_nothing(_request: Message) -> AsyncGenerator[bytes, None]:
        raise error
        yield b""

    request = GetMessageClass(described.input_type)
    return stream(request, stream_nothing) if described.server_streaming else unary(request, call)


def handlers(service: Service, faults: Faults) -> grpc.GenericRpcHandler:
    """The handlers of a service for a gRPC server."""
    made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    for rpc in service.rpcs:
        name = rpc.descriptor.name
        match rpc.method:
            case Unary() as method:
                made[name] = grpc.unary_unary_rpc_method_handler(_unary(method, rpc.path, faults))
            case Stream() as method:
                made[name] = grpc.unary_stream_rpc_method_handler(_stream(method, rpc.path, faults))
    return grpc.method_handlers_generic_handler(service.name, made)


def _unary(method: Unary, where: str, faults: Faults) -> Callable[[bytes, Context], Awaitable[bytes]]:
    read, call = method.read, method.call

    async def handle(raw: bytes, context: Context) -> bytes:
        try:
            answer = await call(read(raw))
            return answer.SerializeToString()
        except Exception as error:  # noqa: BLE001 - the border: what is not foreseen is INTERNAL, and logged
            await _abort(context, known(error, where, faults))

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
            await _abort(context, known(error, where, faults))

    return handle


def known(error: Exception, where: str, faults: Faults) -> NightcrewError:
    """What a caller is told of an error that a method let out, or that reading its request did."""
    if isinstance(error, DecodeError):
        return InvalidArgument(
            f"the request is no message that {where} takes: {error}", code="malformed_request"
        )
    return faults.known(error, where=where)


async def _abort(context: Context, error: NightcrewError) -> NoReturn:
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort always raises")
