"""The contract and the domain say the same: an AgentSpec's protobuf JSON is its model's JSON, field by field."""

import types
import typing
from datetime import datetime, timedelta
from enum import StrEnum

import pytest
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.json_format import MessageToDict, ParseDict

from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.log import LogStream, Severity
from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.spec.base import Spec
from nightcrew.v1 import agent_pb2, execution_pb2, fire_pb2, log_pb2

OUTPUT_ONLY = {
    "state",
    "state_reason",
    "state_time",
    "generation",
    "etag",
    "create_time",
    "update_time",
    "status",
}
WELL_KNOWN = {
    "google.protobuf.Struct": dict,
    "google.protobuf.Duration": timedelta,
    "google.protobuf.Timestamp": datetime,
}
SCALARS = {
    Field.CPPTYPE_STRING: str,
    Field.CPPTYPE_BOOL: bool,
    Field.CPPTYPE_INT32: int,
    Field.CPPTYPE_DOUBLE: float,
}


def _pairs(descriptor, model, path):
    """(path, descriptor, model) of a message and of all messages in it."""
    yield path, descriptor, model
    for field in descriptor.fields:
        if field.name in model.model_fields and field.message_type:
            inner, _ = _inner(model.model_fields[field.name].annotation)
            if isinstance(inner, type) and issubclass(inner, Spec):
                yield from _pairs(field.message_type, inner, f"{path}.{field.name}")


def _inner(annotation):
    """The type itself without `| None`, `tuple[…, ...]`, `dict[…]` or Annotated; and what it was wrapped in."""
    wrapped = set()
    while True:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            annotation = arguments[0]
        elif origin in {typing.Union, types.UnionType}:
            wrapped.add("optional")
            (annotation,) = (one for one in arguments if one is not type(None))
        elif origin is tuple:
            wrapped.add("repeated")
            annotation = arguments[0]
        elif origin is dict:
            return annotation, wrapped
        else:
            return annotation, wrapped


MESSAGES = list(_pairs(agent_pb2.AgentSpec.DESCRIPTOR, AgentSpec, "spec"))


@pytest.mark.parametrize(("path", "descriptor", "model"), MESSAGES, ids=[path for path, *_ in MESSAGES])
def test_a_message_and_its_model_have_the_same_fields(path, descriptor, model):
    assert {field.name for field in descriptor.fields} == set(model.model_fields)
    for field in descriptor.fields:
        _check_field(field, model.model_fields[field.name], f"{path}.{field.name}")


def _check_field(field, of_model, where):
    inner, wrapped = _inner(of_model.annotation)
    is_map = bool(field.message_type and field.message_type.GetOptions().map_entry)
    if is_map:
        assert inner == dict[str, str], where
        return
    assert ("repeated" in wrapped) == field.is_repeated, where
    if field.enum_type:
        assert issubclass(inner, StrEnum), where
        assert {member.value for member in inner} == set(field.enum_type.values_by_name), where
        assert of_model.default == field.enum_type.values_by_number[0].name, where
    elif not field.message_type:
        assert inner is SCALARS[field.cpp_type], where
        # None is the model's word for 'not given', and then the wire must tell it from 0.
        assert ("optional" in wrapped) == field.has_presence, where
    elif field.message_type.full_name in WELL_KNOWN:
        assert (typing.get_origin(inner) or inner) is WELL_KNOWN[field.message_type.full_name], where
    else:
        assert issubclass(inner, Spec), where


@pytest.mark.parametrize(
    ("path", "descriptor", "model"),
    [one for one in MESSAGES if hasattr(one[2], "KINDS")],
    ids=lambda one: str(one)[:40],
)
def test_a_models_kinds_are_the_messages_oneof(path, descriptor, model):
    assert tuple(field.name for field in descriptor.oneofs_by_name["kind"].fields) == model.KINDS, path


def test_a_manifest_is_an_agent_without_what_is_output_only():
    fields = {field.name for field in agent_pb2.Agent.DESCRIPTOR.fields}
    assert fields - OUTPUT_ONLY == set(Manifest.model_fields)


@pytest.mark.parametrize(
    ("enum", "wire"),
    [
        (AgentState, agent_pb2.Agent.State),
        (ExecutionState, execution_pb2.Execution.State),
        (TriggerKind, execution_pb2.TriggerRef.Kind),
        (FireOutcome, fire_pb2.Fire.Outcome),
        (LogStream, log_pb2.LogEntry.Stream),
        (Severity, log_pb2.LogEntry.Severity),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_an_enum_of_the_domain_has_the_wires_names_but_unspecified(enum, wire):
    assert [member.value for member in enum] == list(wire.keys())[1:]


FULL = {
    "program": {
        "langflow": {
            "flow": "digest",
            "tweaks": {"ChatInput": {"input_value": "hello"}},
            "variables": {"KEY": "${secret:KEY}"},
            "session": "SESSION_PER_AGENT",
        }
    },
    "input": {"depth": 2.5, "tags": ["a", None, True]},
    "triggers": [
        {
            "id": "daily",
            "disabled": True,
            "input": {"x": "y"},
            "overlap": "OVERLAP_POLICY_BUFFER_ONE",
            "schedule": {
                "cron": {"expression": "0 9 * * mon-fri"},
                "time_zone": "Europe/Berlin",
                "start_time": "2026-01-01T00:00:00Z",
                "jitter": "1.500s",
                "catch_up": {"mode": "CATCH_UP_MODE_ALL", "window": "3600s"},
                "dst_gap": "DST_GAP_SKIP",
                "dst_fold": "DST_FOLD_BOTH",
                "max_fires": 7,
            },
        },
        {"id": "hook", "webhook": {"scheme": "SCHEME_GITHUB"}},
        {
            "id": "orders",
            "event": {"types": ["shop.*"], "filter": "event.data.total > 3", "allow_self": True},
        },
        {"id": "resident", "resident": {}},
        {"id": "every", "schedule": {"interval": {"every": "60s", "phase": "5s"}}},
        {"id": "civil", "schedule": {"civil": {"days": 2, "time_of_day": "09:30"}}},
        {"id": "date", "schedule": {"date": {"time": "2030-01-01T00:00:00Z"}}},
    ],
    "execution": {
        "timeout": "30s",
        "retry": {
            "max_attempts": 5,
            "backoff_multiplier": 2.0,
            "jitter": False,
            "non_retryable": ["ValueError"],
        },
        "overlap": "OVERLAP_POLICY_ALLOW",
        "max_concurrency": 0,
        "max_backlog": 0,
        "pause_after_failures": 3,
    },
    "restart": {"mode": "MODE_TRANSIENT", "intensity": 0, "period": "60s"},
    "isolation": "ISOLATION_DEDICATED",
}


def test_a_spec_goes_over_the_wire_and_comes_back_the_same():
    model = AgentSpec.parse(FULL)
    message = ParseDict(model.to_json(), agent_pb2.AgentSpec())
    again = AgentSpec.parse(MessageToDict(message, preserving_proto_field_name=True))
    assert again == model
    # Zeros that were written are there, and what was not written is not.
    assert message.execution.HasField("max_concurrency")
    assert message.execution.retry.HasField("jitter")
    assert not message.execution.retry.HasField("initial_backoff")
    # lowerCamelCase, as other languages' protobuf JSON has it, is read too.
    assert AgentSpec.parse(MessageToDict(message)) == model
