"""CloudEvents as callers publish them: every attribute's rule, every fault named, and the event's own JSON."""

import itertools
import json
from datetime import UTC, datetime

import pytest

from nightcrew.domain.cloudevent import MAX_ATTRIBUTE, MAX_EXTENSIONS, Draft, checked_events, event_text
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.values import MAX_VALUE_BYTES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = {"type": "shop.order.created", "source": "/shop"}
NESTED: object = 1
for _ in range(31):
    NESTED = [NESTED]


def checked(*drafts):
    numbers = itertools.count(1)
    return checked_events(drafts, now=NOW, new_id=lambda: f"made-{next(numbers)}")


def test_an_event_with_the_least_gets_an_id_and_a_time():
    (event,) = checked(Draft(**GOOD))
    assert (event.id, event.time, event.data, event.subject) == ("made-1", NOW, "null", "")


def test_an_event_keeps_all_that_it_was_given():
    earlier = datetime(2020, 1, 1, tzinfo=UTC)
    draft = Draft(
        type="T",
        source="https://shop.example/a?b=%C3%BC#c",
        data=[1, {"ü": None}],
        id="order 42",
        subject="Ü 42",
        time=earlier,
        extensions={"traceparent": "00-1", "datacontenttype": "text/plain", "a1": ""},
    )
    (event,) = checked(draft)
    assert (event.id, event.time, event.subject, event.source) == (draft.id, earlier, "Ü 42", draft.source)
    assert event.data == '[1,{"ü":null}]'
    assert event.extensions == draft.extensions


WRONG = [
    ({"type": ""}, "type", "is required"),
    ({"type": "nightcrew.execution.succeeded"}, "type", "the runtime's own"),
    ({"type": "nightcrew."}, "type", "the runtime's own"),
    ({"type": "x" * (MAX_ATTRIBUTE + 1)}, "type", f"at most {MAX_ATTRIBUTE}"),
    ({"type": "a\nb"}, "type", "position 1"),
    ({"source": ""}, "source", "is required"),
    ({"source": "/my shop"}, "source", "URI reference"),
    ({"source": "/läden"}, "source", "URI reference"),
    ({"source": "/100%"}, "source", "URI reference"),
    ({"source": "<x>"}, "source", "URI reference"),
    ({"subject": "\ud800"}, "subject", "surrogates"),
    ({"subject": "\x85"}, "subject", "control characters"),
    ({"id": "\x00"}, "id", "control characters"),
    ({"id": "\uffff"}, "id", "control characters"),
    ({"data": float("nan")}, "data", "finite"),
    ({"data": {"a": [1, object()]}}, "data", "a[1] is of the type object"),
    ({"data": "\ud800"}, "data", "surrogate"),
    ({"data": "x" * MAX_VALUE_BYTES}, "data", "bytes of JSON"),
    ({"data": NESTED}, "data", "at most 30 deep"),
    ({"extensions": {"Trace": "x"}}, "extensions['Trace']", "lower-case"),
    ({"extensions": {"": "x"}}, "extensions['']", "1 to 20"),
    ({"extensions": {"a" * 21: "x"}}, f"extensions['{'a' * 21}']", "1 to 20"),
    ({"extensions": {"source": "x"}}, "extensions['source']", "attribute of its own"),
    ({"extensions": {"data": "x"}}, "extensions['data']", "attribute of its own"),
    ({"extensions": {"a": "\x07"}}, "extensions['a']", "control characters"),
    ({"extensions": {f"a{n}": "" for n in range(MAX_EXTENSIONS + 1)}}, "extensions", "at most"),
]


@pytest.mark.parametrize(("change", "field", "why"), WRONG)
def test_a_wrong_attribute_is_named_with_its_event(change, field, why):
    with pytest.raises(InvalidArgument) as caught:
        checked(Draft(**GOOD), Draft(**{**GOOD, **change}))
    assert [one.field for one in caught.value.violations] == [f"events[1].{field}"]
    assert why in caught.value.violations[0].description


def test_what_just_fits_is_taken():
    (event,) = checked(
        Draft(
            **{**GOOD, "type": "x" * MAX_ATTRIBUTE},
            data="x" * (MAX_VALUE_BYTES - 2),
            extensions={f"a{n}": "" for n in range(MAX_EXTENSIONS)},
        )
    )
    assert len(event.data) == MAX_VALUE_BYTES


def test_all_faults_of_all_events_are_named_at_once():
    with pytest.raises(InvalidArgument) as caught:
        checked(Draft(type="", source=""), Draft(**GOOD), Draft(type="t", source=" ", data=float("inf")))
    assert [one.field for one in caught.value.violations] == [
        "events[0].type",
        "events[0].source",
        "events[2].data",
        "events[2].source",
    ]


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_bounds(count):
    with pytest.raises(InvalidArgument) as caught:
        checked(*[Draft(**GOOD)] * count)
    assert [one.field for one in caught.value.violations] == ["events"]


def test_an_events_own_json_is_cloudevents():
    event = Event(
        type="t",
        source="/s",
        time=NOW,
        id="1",
        subject="x",
        data='{"a":[1,"ü"]}',
        extensions={"traceparent": "00"},
        sequence=7,
    )
    assert json.loads(event_text(event)) == {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "t",
        "time": "2026-03-01T12:00:00Z",
        "subject": "x",
        "traceparent": "00",
        "data": {"a": [1, "ü"]},
    }
