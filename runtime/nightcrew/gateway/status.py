"""Errors of the domain as answers: one table gives gRPC's code, HTTP's status and google.rpc's details."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from nightcrew.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NightcrewError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from nightcrew.ports.clock import Ids

DOMAIN: Final = "nightcrew"
"""google.rpc.ErrorInfo.domain of every error."""


@dataclass(frozen=True, slots=True)
class Translation:
    """What a class of errors is on the wire: google.rpc.Code and HTTP status."""

    grpc: int
    http: int


TABLE: Final[Mapping[type[NightcrewError], Translation]] = {
    InvalidArgument: Translation(code_pb2.INVALID_ARGUMENT, 400),
    NotFound: Translation(code_pb2.NOT_FOUND, 404),
    AlreadyExists: Translation(code_pb2.ALREADY_EXISTS, 409),
    FailedPrecondition: Translation(code_pb2.FAILED_PRECONDITION, 409),
    Aborted: Translation(code_pb2.ABORTED, 409),
    ResourceExhausted: Translation(code_pb2.RESOURCE_EXHAUSTED, 429),
    Unavailable: Translation(code_pb2.UNAVAILABLE, 503),
    Unimplemented: Translation(code_pb2.UNIMPLEMENTED, 501),
    PermissionDenied: Translation(code_pb2.PERMISSION_DENIED, 403),
    Unauthenticated: Translation(code_pb2.UNAUTHENTICATED, 401),
    NightcrewError: Translation(code_pb2.INTERNAL, 500),
}
"""A class that is not here has the row of its nearest parent; the root's row is the last resort."""

# A status travels in HTTP/2 headers, of which peers take 8 KiB by default; text is percent-encoded there and
# the details are base64, so a long error is cut rather than lost.
MESSAGE_BYTES: Final = 768
DETAILS_BYTES: Final = 3072
_TEXT_BYTES: Final = 512

log = structlog.get_logger(__name__)


def translation(error: NightcrewError) -> Translation:
    """The row of an error's class."""
    return next(TABLE[one] for one in type(error).__mro__ if one in TABLE)


def code_of(error: NightcrewError) -> int:
    """The number of an error's gRPC code."""
    return translation(error).grpc


def http_status(error: NightcrewError) -> int:
    """The HTTP status of an error."""
    return translation(error).http


def status_of(error: NightcrewError) -> status_pb2.Status:
    """The google.rpc.Status of an error, details included, short enough for a header."""
    status = status_pb2.Status(code=code_of(error), message=cut(error.message, MESSAGE_BYTES))
    for detail in _details(error):
        status.details.add().Pack(detail)
    return status


def _details(error: NightcrewError) -> Iterable[Message]:
    yield error_details_pb2.ErrorInfo(
        reason=error.code,
        domain=DOMAIN,
        metadata={key: cut(value, _TEXT_BYTES) for key, value in error.metadata.items()},
    )
    match error:
        case InvalidArgument():
            yield _bad_request(error)
        case NotFound() | AlreadyExists():
            yield error_details_pb2.ResourceInfo(
                resource_type=error.resource_type,
                resource_name=cut(error.resource_name, _TEXT_BYTES),
                description=cut(error.message, _TEXT_BYTES),
            )
        case FailedPrecondition():
            violation = error_details_pb2.PreconditionFailure.Violation(
                type=error.code,
                subject=cut(error.subject, _TEXT_BYTES),
                description=cut(error.message, _TEXT_BYTES),
            )
            yield error_details_pb2.PreconditionFailure(violations=[violation])
        case ResourceExhausted():
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromTimedelta(error.retry_delay)
            yield info
        case _:
            pass


def _bad_request(error: InvalidArgument) -> error_details_pb2.BadRequest:
    """As many violations as fit; the last one then counts the rest."""
    request = error_details_pb2.BadRequest()
    room = DETAILS_BYTES
    for index, violation in enumerate(error.violations):
        field = cut(violation.field, _TEXT_BYTES)
        description = cut(violation.description, _TEXT_BYTES)
        room -= len(field.encode()) + len(description.encode()) + 8
        if room < 0:
            left = len(error.violations) - index
            request.field_violations.add(
                field=field, description=f"… and {left - 1} more: {description[:80]}"
            )
            break
        request.field_violations.add(field=field, description=description)
    return request


def cut(text: str, limit: int) -> str:
    """The text in at most about `limit` bytes of UTF-8, with an ellipsis where it was cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[:limit].decode("utf-8", "ignore") + "…"


class Faults:
    """Turns what nobody foresaw into INTERNAL with a reference: the log has the rest, the caller has no traceback."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def known(self, error: Exception, *, where: str) -> NightcrewError:
        """The error itself if it is one of ours, else one that names where in the log to look."""
        if isinstance(error, NightcrewError) and code_of(error) != code_pb2.INTERNAL:
            return error
        reference = self._ids.uuid7()
        log.error("a call failed", where=where, reference=reference, exc_info=error)
        return NightcrewError(
            f"an internal error; the runtime's log has it under the reference {reference}",
            code="internal",
            metadata={"reference": reference},
        )
