"""The errors a call can raise: one class a gRPC code, with the facts the server gave about what is wrong."""
# ruff: noqa: N818 - these are the names of gRPC's codes

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that is wrong: its path (`agent.spec.triggers[2].id`) and what would be right."""

    field: str
    description: str


class NightcrewClientError(Exception):
    """The root of every error that the SDK raises on purpose.

    Attributes:
        code: The name of the gRPC status code, such as `FAILED_PRECONDITION`.
        reason: The error's stable code (google.rpc.ErrorInfo.reason), such as `overlap_skipped`; empty when
            no Nightcrew server made the error.
        message: One sentence for a person: what is wrong and what would be right.
        field_violations: Each field of the request that is wrong.
        metadata: Facts for programs, such as `state` and `allowed_states`.
        retry_delay: How long to wait before trying again, when the server said so.
        resource: The resource that the error is about (`agents/digest`), when the server named one.
    """

    code: str = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str = "",
        field_violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_delay: timedelta | None = None,
        resource: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.reason = reason
        self.field_violations = tuple(field_violations)
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_delay = retry_delay
        self.resource = resource

    @property
    def state(self) -> str:
        """The state the resource is in, when that is why it was refused; empty otherwise."""
        return self.metadata.get("state", "")

    @property
    def allowed_states(self) -> tuple[str, ...]:
        """The states in which the call would have been allowed."""
        return tuple(one for one in self.metadata.get("allowed_states", "").split(",") if one)


class Cancelled(NightcrewClientError):
    """The call was cancelled, by the other side."""

    code = "CANCELLED"


class InvalidArgument(NightcrewClientError):
    """The request is wrong whatever the state of the system; `field_violations` name what is wrong."""

    code = "INVALID_ARGUMENT"


class InvalidRequest(InvalidArgument):
    """The same, found before anything was sent: what was given cannot be put into a request."""


class DeadlineExceeded(NightcrewClientError):
    """No answer came within the timeout; a mutation may have been carried out or not."""

    code = "DEADLINE_EXCEEDED"


class NotFound(NightcrewClientError):
    """The named resource does not exist."""

    code = "NOT_FOUND"


class AlreadyExists(NightcrewClientError):
    """A resource of that name exists."""

    code = "ALREADY_EXISTS"


class PermissionDenied(NightcrewClientError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(NightcrewClientError):
    """A bound is reached (a backlog, a rate); try again after `retry_delay`."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(NightcrewClientError):
    """The request is right, but not in the `state` the resource is in; see `allowed_states`."""

    code = "FAILED_PRECONDITION"


class Aborted(NightcrewClientError):
    """Somebody else changed the resource first (its etag does not match): read it anew, then try again."""

    code = "ABORTED"


class OutOfRange(NightcrewClientError):
    """The request goes past what there is."""

    code = "OUT_OF_RANGE"


class Unimplemented(NightcrewClientError):
    """The server does not have this call, or not yet."""

    code = "UNIMPLEMENTED"


class Internal(NightcrewClientError):
    """The server failed in a way it did not foresee."""

    code = "INTERNAL"


class Unavailable(NightcrewClientError):
    """The server cannot answer now: it drains, or its store failed. The SDK has tried again already."""

    code = "UNAVAILABLE"


class NotReachable(Unavailable):
    """No Nightcrew server answered at the address: none runs there, or the network is in the way."""


class DataLoss(NightcrewClientError):
    """What was stored is damaged."""

    code = "DATA_LOSS"


class Unauthenticated(NightcrewClientError):
    """The caller gave no credentials, or wrong ones."""

    code = "UNAUTHENTICATED"


class Closed(NightcrewClientError):
    """The client is used after it was closed."""

    code = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("the client is closed; make a new one")


BY_CODE: Final[Mapping[str, type[NightcrewClientError]]] = {
    kind.code: kind
    for kind in (
        Cancelled,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
        Unauthenticated,
    )
}
"""Which class an error of a gRPC code gets; a code that is not in it gets the root class."""


def error_of(code: str) -> type[NightcrewClientError]:
    """The class for the name of a gRPC status code."""
    return BY_CODE.get(code, NightcrewClientError)
