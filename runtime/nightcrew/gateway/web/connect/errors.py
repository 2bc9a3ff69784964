"""Errors of the domain as Connect has them: its code, and the same google.rpc details as over gRPC."""

from typing import Any as Anything
from typing import Final

from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf.any_pb2 import Any as GoogleAny
from google.protobuf.json_format import MessageToJson
from google.rpc import error_details_pb2
from protobuf.wkt import Any, Struct

from nightcrew.domain.errors import NightcrewError
from nightcrew.gateway.status import status_of

_CODES: Final = tuple(Code)
"""In the order of google.rpc.Code, whose first, OK, is no error."""


class _Detail(ErrorDetail):
    """A detail made by google's protobuf, which Connect's own knows no descriptor of."""

    def __init__(self, packed: GoogleAny) -> None:
        super().__init__(Any(type_url=packed.type_url, value=packed.value))
        self._packed = packed

    def value(self, *_wanted: Anything) -> Struct:  # type: ignore[override]
        """Its fields, for the `debug` of an error in JSON, which people read."""
        detail = getattr(error_details_pb2, self.type_name.rpartition(".")[2])()
        self._packed.Unpack(detail)
        return Struct.from_json(MessageToJson(detail))


def connect_error(error: NightcrewError) -> ConnectError:
    """The error that tells an error of the domain."""
    status = status_of(error)
    return ConnectError(_CODES[status.code - 1], status.message, [_Detail(one) for one in status.details])
