"""The Python SDK of Nightcrew: an async client, its sync face, typed models and errors."""

from nightcrew.client.client import Client
from nightcrew.client.errors import (
    Aborted,
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    InvalidRequest,
    NightcrewClientError,
    NotFound,
    NotReachable,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from nightcrew.client.models.event import NewEvent
from nightcrew.client.models.execution import TriggerRequest
from nightcrew.client.models.json_form import as_json
from nightcrew.client.retry import RetryPolicy
from nightcrew.client.sync import SyncClient

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Client",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidArgument",
    "InvalidRequest",
    "NewEvent",
    "NightcrewClientError",
    "NotFound",
    "NotReachable",
    "PermissionDenied",
    "ResourceExhausted",
    "RetryPolicy",
    "SyncClient",
    "TriggerRequest",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "as_json",
]
