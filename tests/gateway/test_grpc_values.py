"""JSON values, times and specs across the wire: exact both ways, and every fault named by its path."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.gateway.grpc.convert.agent import spec_message, written
from nightcrew.gateway.grpc.convert.cache import Lru
from nightcrew.gateway.grpc.convert.message import json_of
from nightcrew.gateway.grpc.convert.times import duration_of, fill_time, time_of
from nightcrew.gateway.grpc.convert.values import (
    fill_struct,
    fill_struct_text,
    fill_value,
    fill_value_text,
    object_of,
    value_of,
)
from nightcrew.v1 import agent_pb2

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_a_value_comes_back_the_same(data):
    value = Value()
    fill_value(value, data)
    again = value_of(Value.FromString(value.SerializeToString()), "x")
    assert again == data
    # Whole numbers are ints, also where a float went in: JSON knows no difference.
    assert json.dumps(again, sort_keys=True) == json.dumps(ints(data), sort_keys=True)
    text = Value()
    fill_value_text(text, json.dumps(data))
    assert text == value


def ints(data):
    match data:
        case bool() | None | str():
            return data
        case float():
            return int(data) if data.is_integer() and abs(data) <= 2**53 else data
        case list():
            return [ints(one) for one in data]
        case dict():
            return {key: ints(one) for key, one in data.items()}
        case _:
            return data


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=4))
def test_our_converter_and_protobufs_agree(data):
    ours = Struct()
    fill_struct(ours, data)
    theirs = Struct()
    theirs.update(data)
    assert ours == theirs
    assert object_of(ours, "x") == MessageToDict(ours) or any_large(data)


def any_large(data):
    """MessageToDict makes ints of whole numbers beyond 2^53 too."""
    return any(
        isinstance(one, float) and abs(one) > 2**53 for one in json.loads(json.dumps(list(data.values())))
    ) or (
        "e+" in json.dumps(data) or any(len(part) > 15 for part in json.dumps(data).replace("-", " ").split())
    )


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"a": math.nan}, "input.a"),
        ({"a": {"b": [1, math.inf]}}, "input.a.b[1]"),
        ({"deep": [[{"x": -math.inf}]]}, "input.deep[0][0].x"),
    ],
)
def test_numbers_that_json_does_not_know_are_refused_by_their_path(data, path):
    struct = Struct()
    struct.update(data)
    with pytest.raises(InvalidArgument) as caught:
        object_of(struct, "input")
    (violation,) = caught.value.violations
    assert violation.field == path
    assert "finite" in violation.description


def test_the_edges_of_values():
    assert value_of(Value(), "x") is None
    value = Value(number_value=2.0**53)
    assert value_of(value, "x") == 2**53
    assert isinstance(value_of(value, "x"), int)
    assert isinstance(value_of(Value(number_value=2.0**53 + 2), "x"), float)
    huge = Value()
    fill_value(huge, 10**400)
    assert huge.string_value == str(10**400)
    empty = Value()
    fill_value(empty, {})
    assert value_of(empty, "x") == {}
    fill_value(empty := Value(), [])
    assert value_of(empty, "x") == []
    struct = Struct()
    fill_struct_text(struct, "{}")
    assert object_of(struct, "x") == {}


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)))
def test_instants_come_back_to_the_microsecond(naive):
    instant = naive.replace(tzinfo=UTC)
    stamp = Timestamp()
    fill_time(stamp, instant)
    assert 0 <= stamp.nanos < 1_000_000_000
    assert time_of(stamp, "x") == instant


@pytest.mark.parametrize(
    "stamp",
    [Timestamp(seconds=10**12), Timestamp(seconds=-(10**12)), Timestamp(nanos=-1), Timestamp(nanos=10**9)],
)
def test_an_instant_out_of_range_is_refused(stamp):
    with pytest.raises(InvalidArgument, match="after: must lie in the years"):
        time_of(stamp, "after")


def test_durations():
    assert duration_of(Duration(seconds=1, nanos=500_000_999), "x") == timedelta(seconds=1.5)
    assert duration_of(Duration(seconds=-1, nanos=-500_000_000), "x") == timedelta(seconds=-1.5)
    for wrong in (Duration(seconds=1, nanos=-1), Duration(nanos=10**9), Duration(seconds=10**12)):
        with pytest.raises(InvalidArgument, match="wait: must be at most"):
            duration_of(wrong, "wait")


SPEC = {
    "program": {"python": {"entrypoint": "a.b:c"}},
    "input": {"whole": 3, "half": 0.5, "large": 2**53},
    "triggers": [
        {"id": "c", "input": {"n": 1}, "schedule": {"cron": {"expression": "* * * * *"}, "jitter": "1.5s"}},
        {"id": "d", "schedule": {"date": {"time": "2030-01-01T00:00:00Z"}}},
        {"id": "w", "webhook": {"secrets": ["hidden"]}},
        {"id": "r", "resident": {}},
    ],
    "execution": {"max_concurrency": 0, "retry": {"max_attempts": 3, "jitter": False}},
}


def test_a_spec_goes_out_and_comes_back_but_for_its_secrets():
    spec = AgentSpec.parse(SPEC)
    message = spec_message(spec)
    again = AgentSpec.parse(json_of(message))
    assert not message.triggers[2].webhook.secrets
    shown = spec.to_json()
    shown["triggers"][2]["webhook"] = {}
    assert again.to_json() == shown
    assert isinstance(again.input["whole"], int)
    assert message.execution.HasField("max_concurrency")


def test_an_enum_without_a_name_and_a_bad_duration_are_named():
    agent = agent_pb2.Agent(spec={"isolation": 77})
    with pytest.raises(
        InvalidArgument, match=r"agent\.spec\.isolation: must be one of ISOLATION_UNSPECIFIED"
    ):
        written(agent, "agent")
    agent = agent_pb2.Agent()
    agent.spec.triggers.add()
    agent.spec.triggers.add().schedule.interval.every.seconds = 10**13
    with pytest.raises(InvalidArgument, match=r"agent.spec.triggers\[1\].schedule.interval.every"):
        written(agent, "agent")


def test_what_is_output_only_is_left_out():
    agent = agent_pb2.Agent(
        id="x", etag="r1", state=agent_pb2.Agent.STATE_ERROR, generation=4, labels={"a": "b"}
    )
    assert written(agent, "agent") == {"id": "x", "labels": {"a": "b"}}


def test_the_cache_forgets_what_was_not_asked_for_the_longest():
    made = []
    cache = Lru(2)

    def get(key):
        def make():
            made.append(key)
            return key

        return cache.get(key, make)

    for key in "abacab":
        get(key)
    # a and b, then c in b's place (a was used since), then b anew.
    assert made == ["a", "b", "c", "b"]
    assert len(cache) == 2
