"""The errors of the domain: one root, a stable code each, and the facts a caller needs to mend the call.

Gateways translate these by their class and never invent errors of their own; `code` becomes
google.rpc.ErrorInfo.reason, so it is part of the contract and never changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


class NightcrewError(Exception):
    """The root of every error that Nightcrew raises on purpose.

    Args:
        message: One sentence for a person: what is wrong and what would be right.
        code: Stable, lower_snake_case; the class has a default.
        metadata: Facts for programs, all strings.
    """

    code = "internal"

    def __init__(
        self, message: str, *, code: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.metadata: dict[str, str] = dict(metadata or {})


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong: its path (`agent.spec.triggers[2].id`) and what would be right."""

    field: str
    description: str


class InvalidArgument(NightcrewError):  # noqa: N818 - these are the names of gRPC's codes
    """The request is wrong whatever the state of the system; names every field that is wrong."""

    code = "invalid_argument"

    def __init__(
        self,
        message: str,
        *,
        violations: Sequence[FieldViolation] = (),
        code: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, metadata=metadata)
        self.violations = tuple(violations)

    @classmethod
    def of(cls, field: str, description: str, *, code: str | None = None) -> "InvalidArgument":
        """The error for a single wrong field."""
        return cls(f"{field}: {description}", violations=(FieldViolation(field, description),), code=code)

    def within(self, prefix: str) -> "InvalidArgument":
        """The same error with every field path put under `prefix` (`agent.spec`)."""
        moved = tuple(FieldViolation(join_path(prefix, v.field), v.description) for v in self.violations)
        text = "; ".join(f"{v.field}: {v.description}" for v in moved) or self.message
        return InvalidArgument(text, violations=moved, code=self.code, metadata=self.metadata)


def join_path(prefix: str, field: str) -> str:
    """Joins two field paths: `a` and `b` are `a.b`, `a` and `[0]` are `a[0]`."""
    if not prefix or not field:
        return prefix or field
    return prefix + field if field.startswith("[") else f"{prefix}.{field}"


class NotFound(NightcrewError):  # noqa: N818
    """The named resource does not exist."""

    code = "not_found"

    def __init__(self, resource_type: str, resource_name: str, *, code: str | None = None) -> None:
        super().__init__(f"{resource_type} {resource_name!r} does not exist", code=code)
        self.resource_type = resource_type
        self.resource_name = resource_name


class AlreadyExists(NightcrewError):  # noqa: N818
    """A resource of that name exists."""

    code = "already_exists"

    def __init__(self, resource_type: str, resource_name: str) -> None:
        super().__init__(f"{resource_type} {resource_name!r} already exists")
        self.resource_type = resource_type
        self.resource_name = resource_name


class FailedPrecondition(NightcrewError):  # noqa: N818
    """The request is right, but not in the state the resource is in; names the states that would allow it."""

    code = "failed_precondition"

    def __init__(
        self,
        message: str,
        *,
        subject: str = "",
        state: str = "",
        allowed_states: Sequence[str] = (),
        code: str | None = None,
    ) -> None:
        metadata = {}
        if state:
            metadata = {"state": state, "allowed_states": ",".join(allowed_states)}
        super().__init__(message, code=code, metadata=metadata)
        self.subject = subject
        self.state = state
        self.allowed_states = tuple(allowed_states)


class Aborted(NightcrewError):  # noqa: N818
    """Somebody else changed the resource first (its etag does not match): read it anew, then try again."""

    code = "etag_mismatch"


class ResourceExhausted(NightcrewError):  # noqa: N818
    """A bound is reached (a backlog, a rate); try again after `retry_delay`."""

    code = "resource_exhausted"

    def __init__(
        self, message: str, *, retry_delay: timedelta = timedelta(seconds=1), code: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_delay = retry_delay


class Unavailable(NightcrewError):  # noqa: N818
    """The runtime can't answer now: it drains, or its store failed; nothing is known to have changed."""

    code = "unavailable"


class StoreError(Unavailable):
    """The store failed (disk full, read-only, locked); the message says which. Nothing was acknowledged."""

    code = "store_unavailable"


class CommitUnknown(StoreError):  # noqa: N818
    """A COMMIT failed in a way that leaves open whether it took place; read before trying again."""

    code = "commit_unknown"


class SecretUnavailable(Unavailable):
    """A secret can't be had: it is not there, or the key that it was sealed with is not; the message says which."""

    code = "secret_unavailable"


class Unimplemented(NightcrewError):  # noqa: N818
    """The contract has it, this build does not yet."""

    code = "unimplemented"


class PermissionDenied(NightcrewError):  # noqa: N818
    """The caller may not do this."""

    code = "permission_denied"


class Unauthenticated(NightcrewError):  # noqa: N818
    """The caller has not proven who it is: a signature or a token is missing or wrong."""

    code = "unauthenticated"
