"""Errors on the wire: every class of the domain has its code, its details, and fits into a header."""

import inspect
import logging
from datetime import timedelta

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2

from nightcrew.domain import errors
from nightcrew.domain.errors import (
    Aborted,
    AlreadyExists,
    CommitUnknown,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NightcrewError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    SecretUnavailable,
    StoreError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from nightcrew.gateway.status import (
    DETAILS_BYTES,
    MESSAGE_BYTES,
    TABLE,
    Faults,
    code_of,
    http_status,
    status_of,
)
from nightcrew.system.ids import SystemIds

WIRE = [
    (InvalidArgument.of("agent.id", "is bad"), "INVALID_ARGUMENT", 400),
    (NotFound("agent", "x"), "NOT_FOUND", 404),
    (AlreadyExists("agent", "x"), "ALREADY_EXISTS", 409),
    (FailedPrecondition("no"), "FAILED_PRECONDITION", 409),
    (Aborted("no"), "ABORTED", 409),
    (ResourceExhausted("no"), "RESOURCE_EXHAUSTED", 429),
    (Unavailable("no"), "UNAVAILABLE", 503),
    (StoreError("no"), "UNAVAILABLE", 503),
    (SecretUnavailable("no"), "UNAVAILABLE", 503),
    (CommitUnknown("no"), "UNAVAILABLE", 503),
    (Unimplemented("no"), "UNIMPLEMENTED", 501),
    (PermissionDenied("no"), "PERMISSION_DENIED", 403),
    (Unauthenticated("no"), "UNAUTHENTICATED", 401),
    (NightcrewError("no"), "INTERNAL", 500),
]


@pytest.mark.parametrize(("error", "code", "http"), WIRE, ids=lambda one: type(one).__name__)
def test_each_error_has_its_code_and_its_reason(error, code, http):
    status = status_of(error)
    assert code_pb2.Code.Name(status.code) == code
    assert grpc.StatusCode[code].value[0] == code_of(error)
    assert http_status(error) == http
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (error.code, "nightcrew")


def test_no_class_of_the_domain_is_forgotten():
    classes = {
        one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, NightcrewError)
    }
    assert {type(error) for error, _, _ in WIRE} == classes
    # A subclass has its parent's row, and only the root falls back to INTERNAL.
    internal = {one for one in classes if code_of(one.__new__(one)) == code_pb2.INTERNAL}
    assert internal == {NightcrewError}
    assert set(TABLE) <= classes


def detail(status, kind):
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.__name__} in {status}")


def test_the_details_of_each_kind():
    bad = detail(status_of(InvalidArgument.of("a.b[2]", "must be 1")), error_details_pb2.BadRequest)
    assert [(one.field, one.description) for one in bad.field_violations] == [("a.b[2]", "must be 1")]
    for error in (NotFound("agent", "digest"), AlreadyExists("agent", "digest")):
        resource = detail(status_of(error), error_details_pb2.ResourceInfo)
        assert (resource.resource_type, resource.resource_name) == ("agent", "digest")
    refusal = FailedPrecondition(
        "no",
        subject="agents/a",
        state="STATE_PAUSED",
        allowed_states=("STATE_STOPPED", "STATE_ERROR"),
        code="agent_state",
    )
    info = detail(status_of(refusal), error_details_pb2.ErrorInfo)
    assert dict(info.metadata) == {"state": "STATE_PAUSED", "allowed_states": "STATE_STOPPED,STATE_ERROR"}
    (violation,) = detail(status_of(refusal), error_details_pb2.PreconditionFailure).violations
    assert (violation.type, violation.subject, violation.description) == ("agent_state", "agents/a", "no")
    full = status_of(ResourceExhausted("full", retry_delay=timedelta(seconds=1.5)))
    assert detail(full, error_details_pb2.RetryInfo).retry_delay.ToTimedelta() == timedelta(seconds=1.5)


def test_a_long_error_is_cut_so_that_it_fits_into_a_header():
    many = [FieldViolation(f"agents[{n}].spec", "wrong " * 30) for n in range(1000)]
    status = status_of(InvalidArgument("ä" * 100_000, violations=many))
    # base64 of the whole status, which carries the message too, and the percent-encoded message.
    assert status.ByteSize() * 4 / 3 + MESSAGE_BYTES * 3 + 200 < 8192
    shown = detail(status, error_details_pb2.BadRequest).field_violations
    assert sum(one.ByteSize() for one in shown) < DETAILS_BYTES + 700
    assert f"and {1000 - len(shown)} more" in shown[-1].description
    assert status.message.endswith("…")
    assert "\ud800" not in status_of(NotFound("agent", "\ud800")).message


def test_what_nobody_foresaw_is_internal_with_a_reference_into_the_log(caplog):
    faults = Faults(SystemIds())
    known = NotFound("agent", "x")
    assert faults.known(known, where="here") is known
    with caplog.at_level(logging.ERROR):
        try:
            raise ZeroDivisionError("a secret of ours")
        except ZeroDivisionError as error:
            shown = faults.known(error, where="AgentService/GetAgent")
    assert "secret" not in shown.message
    assert shown.metadata["reference"] in shown.message
    assert code_of(shown) == code_pb2.INTERNAL


def test_an_internal_error_of_ours_keeps_its_text_to_the_log():
    shown = Faults(SystemIds()).known(NightcrewError("inner workings", code="odd"), where="here")
    assert "inner workings" not in shown.message
    assert shown.code == "internal"
