"""Errors off the wire: a failed call's status and its google.rpc details as one of the SDK's exceptions."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from nightcrew.client.errors import FieldViolation, NightcrewClientError, NotReachable, error_of


def from_rpc(error: grpc.aio.AioRpcError) -> NightcrewClientError:
    """The exception for a call that failed; NotReachable when no server of ours made the error."""
    status = _rich_status(error)
    code = error.code()
    message = error.details() or code.name
    if status is None or not status.details:
        if code is grpc.StatusCode.UNAVAILABLE:
            return NotReachable(message)
        return error_of(code.name)(message, code=code.name)
    return error_of(code.name)(message, code=code.name, **_facts(status))


def from_parts(code: int, reason: str, message: str, metadata: Mapping[str, str]) -> NightcrewClientError:
    """The exception for one of many that was refused (nightcrew.v1.AgentError)."""
    name = _CODE_NAMES.get(code, "UNKNOWN")
    return error_of(name)(message, code=name, reason=reason, metadata=metadata)


_CODE_NAMES = {one.value[0]: one.name for one in grpc.StatusCode}


def _rich_status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        found: status_pb2.Status | None = rpc_status.from_call(error)
    except ValueError:
        # The details contradict the status: a proxy rewrote one of them. The status is what the call ended with.
        return None
    return found


def _facts(status: status_pb2.Status) -> dict[str, Any]:
    """The details as the exception's keyword arguments; kinds that are not known are passed over."""
    facts: dict[str, Any] = {}
    for packed in status.details:
        match packed.TypeName():
            case "google.rpc.ErrorInfo":
                info = error_details_pb2.ErrorInfo.FromString(packed.value)
                facts |= {"reason": info.reason, "metadata": dict(info.metadata)}
            case "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest.FromString(packed.value)
                facts["field_violations"] = [
                    FieldViolation(one.field, one.description) for one in bad.field_violations
                ]
            case "google.rpc.RetryInfo":
                retry = error_details_pb2.RetryInfo.FromString(packed.value)
                delay = retry.retry_delay
                facts["retry_delay"] = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
            case "google.rpc.ResourceInfo":
                resource = error_details_pb2.ResourceInfo.FromString(packed.value)
                facts["resource"] = f"{resource.resource_type} {resource.resource_name}".strip()
    return facts
