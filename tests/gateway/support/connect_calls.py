"""RPCs through connectrpc's own client, over Connect and gRPC-Web, or written byte by byte."""

import contextlib
import json
import struct

import pytest
from connectrpc.client import ConnectClient
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.compression.gzip import GzipCompression
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2

from nightcrew.v1 import (
    agent_service_pb2,
    event_service_pb2,
    execution_service_pb2,
    runtime_service_pb2,
    schedule_service_pb2,
)

MODULES = (
    agent_service_pb2,
    event_service_pb2,
    execution_service_pb2,
    runtime_service_pb2,
    schedule_service_pb2,
)
RPCS = {
    rpc.name: rpc
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for rpc in service.methods
}
CODECS = {
    "proto": google_protobuf_binary_codec(),
    "json": google_protobuf_json_codec(ignore_unknown_fields=False),
}


def path_of(name):
    return f"/{RPCS[name].containing_service.full_name}/{name}"


class Calls:
    """RPCs by their names, with their requests as JSON, through connectrpc's own client."""

    def __init__(self, box, protocol, codec, compressed):
        self.box = box
        self.client = ConnectClient(
            f"http://{box.runtime.web.address}",
            protocol=protocol,
            codec=CODECS[codec],
            send_compression=GzipCompression() if compressed else None,
        )

    @classmethod
    def plain(cls, box):
        return cls(box, ProtocolType.CONNECT, "proto", False)

    def _info(self, name):
        rpc = RPCS[name]
        return MethodInfo(
            name=name,
            service_name=rpc.containing_service.full_name,
            input=GetMessageClass(rpc.input_type),
            output=GetMessageClass(rpc.output_type),
            idempotency_level=IdempotencyLevel.UNKNOWN,
            stream_type=StreamType.SERVER_STREAM if rpc.server_streaming else StreamType.UNARY,
        )

    async def __call__(self, name, *, timeout_ms=20_000, **fields):
        info = self._info(name)
        request = ParseDict(fields, info.input())
        return await self.client.execute_unary(request=request, method=info, timeout_ms=timeout_ms)

    def stream(self, name, *, timeout_ms=20_000, **fields):
        info = self._info(name)
        request = ParseDict(fields, info.input())
        return self.client.execute_server_stream(request=request, method=info, timeout_ms=timeout_ms)


WAYS = [
    pytest.param((protocol, codec, compressed), id=f"{protocol.name.lower()}-{codec}{'-gzip' * compressed}")
    for protocol, codec, compressed in (
        (ProtocolType.CONNECT, "proto", True),
        (ProtocolType.CONNECT, "json", False),
        (ProtocolType.GRPC_WEB, "proto", False),
        (ProtocolType.GRPC_WEB, "json", True),
    )
]


class Told:
    """A ConnectError, taken apart."""

    def __init__(self, error):
        self.code = error.code.value
        self.message = error.message
        self.details = {}
        for detail in error.details:
            short = detail.type_name.rpartition(".")[2]
            self.details[short] = getattr(error_details_pb2, short).FromString(detail.message_bytes)

    @property
    def reason(self):
        assert self.details["ErrorInfo"].domain == "nightcrew"
        return self.details["ErrorInfo"].reason

    @property
    def fields(self):
        return [one.field for one in self.details["BadRequest"].field_violations]


@contextlib.asynccontextmanager
async def told(code):
    """The block's call must be refused with this code; the yielded list holds what was said afterwards."""
    found = []
    with pytest.raises(ConnectError) as caught:
        yield found
    found.append(Told(caught.value))
    assert found[0].code == code, caught.value


def envelope(data, flags=0):
    return struct.pack(">BI", flags, len(data)) + data


def envelopes(raw):
    """The (flags, data) of a stream's bytes."""
    found = []
    while raw:
        flags, length = struct.unpack(">BI", raw[:5])
        found.append((flags, raw[5 : 5 + length]))
        raw = raw[5 + length :]
    return found


async def post(web, name, body, *, kind="application/json", **headers):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await web.post(path_of(name), content=content, headers={"content-type": kind, **named})
