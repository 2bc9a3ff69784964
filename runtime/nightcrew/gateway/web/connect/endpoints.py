"""RPCs as endpoints of connectrpc, over the same methods that gRPC serves.

connectrpc keeps the protocols (envelopes, trailers, deadlines, who has gone); messages are ours. Its codecs are
synchronous, and reading a large message takes long, so they only say which form a caller uses, and an
endpoint goes from bytes to bytes as gRPC's handlers do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from connectrpc.codec import Codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import Endpoint
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from nightcrew.gateway.grpc.methods import Rpc, Stream, Unary, known
from nightcrew.gateway.grpc.offload import converted
from nightcrew.gateway.status import Faults
from nightcrew.gateway.web.connect.errors import connect_error
from nightcrew.gateway.web.connect.forms import Form, read, written
from nightcrew.gateway.web.errors import headers_of


@dataclass(frozen=True, slots=True)
class Sent:
    """A request's message as it came."""

    form: Form
    raw: bytes


class FormCodec(Codec[bytes, Sent]):
    """Says which form a message came in."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def name(self) -> str:
        """The end of the content type."""
        return self._form.value

    def encode(self, message: bytes) -> bytes:
        """An endpoint has written it already."""
        return message

    def decode(self, data: bytes | bytearray, message_class: type[Sent]) -> Sent:
        """What came."""
        return message_class(self._form, bytes(data))


CODECS: Final = tuple(FormCodec(form) for form in Form)
Context = RequestContext[Sent, bytes]


def endpoint(rpc: Rpc, faults: Faults) -> Endpoint[Sent, bytes]:
    """The endpoint of an RPC."""
    border = _Border(rpc, faults)
    match rpc.method:
        case Unary() as method:
            return Endpoint.unary(_info(rpc, StreamType.UNARY), _unary(method, border))
        case Stream() as method:
            return Endpoint.server_stream(_info(rpc, StreamType.SERVER_STREAM), _stream(method, border))


def _info(rpc: Rpc, stream_type: StreamType) -> MethodInfo[Sent, bytes]:
    service, _, name = rpc.path.partition("/")
    return MethodInfo(
        name=name,
        service_name=service,
        input=Sent,
        output=bytes,
        # Whatever is safe to repeat, nothing is served over GET: a picture in a page could call it.
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=stream_type,
    )


def _unary(method: Unary, border: "_Border") -> Callable[[Sent, Context], Awaitable[bytes]]:
    async def unary(sent: Sent, context: Context) -> bytes:
        try:
            return await border.written(sent.form, await method.call(await border.read(sent)))
        except Exception as error:  # noqa: BLE001 - the border: what is not foreseen is INTERNAL, and logged
            raise border.told(error, context) from None

    return unary


def _stream(method: Stream, border: "_Border") -> Callable[[Sent, Context], AsyncIterator[bytes]]:
    async def stream(sent: Sent, context: Context) -> AsyncIterator[bytes]:
        try:
            async with aclosing(method.call(await border.read(sent))) as answers:
                async for answer in answers:
                    yield answer if sent.form is Form.PROTO else await border.rewritten(sent.form, answer)
        except Exception as error:  # noqa: BLE001 - as above
            raise border.told(error, context) from None

    return stream


class _Border:
    """Reads an RPC's requests, writes its answers and tells its errors."""

    def __init__(self, rpc: Rpc, faults: Faults) -> None:
        self._path = rpc.path
        self._faults = faults
        self._request: type[Message] = GetMessageClass(rpc.descriptor.input_type)
        self._response: type[Message] = GetMessageClass(rpc.descriptor.output_type)

    async def read(self, sent: Sent) -> Message:
        return await converted(len(sent.raw), read, sent.form, sent.raw, self._request)

    async def written(self, form: Form, message: Message) -> bytes:
        return await converted(message.ByteSize(), written, form, message)

    async def rewritten(self, form: Form, raw: bytes) -> bytes:
        """What is protobuf's bytes already, in another form."""
        return await converted(len(raw), lambda: written(form, self._response.FromString(raw)))

    def told(self, error: Exception, context: Context) -> ConnectError:
        told = known(error, self._path, self._faults)
        for name, value in headers_of(told).items():
            context.response_headers[name] = value
        return connect_error(told)
