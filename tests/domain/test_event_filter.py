"""CEL filters: what they see, faults with their positions, errors that are no match, and the bounds on what they cost."""

import contextlib
from datetime import UTC, datetime

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.event_filter import LARGE, MAX_FILTER, Facts, FilterError, compile_filter

EVENT = Event(
    type="shop.order.created",
    source="/shop",
    time=datetime(2026, 3, 1, 12, tzinfo=UTC),
    id="42",
    subject="order 42",
    data='{"total":150.5,"count":3,"items":[{"sku":"a"},{"sku":"b"}],"big":12345678901234567890,"note":null,"ok":true}',
    extensions={"tenant": "blue"},
    sequence=7,
)


def holds(text, event=EVENT):
    return compile_filter(text).holds(Facts(event))


TRUE = [
    "true",
    "event.type == 'shop.order.created'",
    'event.type.startsWith("shop.") && event.source == "/shop"',
    "event.subject == 'order 42' && event.id == '42'",
    "event.time > timestamp('2026-01-01T00:00:00Z')",
    "event.extensions.tenant == 'blue' && !('x' in event.extensions)",
    "event.data.total > 150 && event.data.total < 150.6",
    "event.data.count == 3 && event.data.count + 1 == 4",
    "event.data.items.exists(i, i.sku == 'b')",
    "event.data.items.filter(i, i.sku != 'b').size() == 1",
    "event.data.items.all(i, i.sku.matches('^[ab]$'))",
    "has(event.data.total) && !has(event.data.nothing)",
    "event.data.big > 1.0e19",
    "event.data.note == null",
    "event.data.ok",
    "event.data.total > 1000.0 ? false : true",
    r"event.subject.matches(r'^order \d+$')",
    "event.type == 'a' || // or else\n event.type.endsWith('created')",
    'event.subject != """a\nb"""',
]
FALSE = ["false", "event.type == 'shop'", "event.data.items.exists(i, i.sku == 'z')", "!event.data.ok"]


@pytest.mark.parametrize("text", TRUE)
def test_a_filter_that_holds(text):
    assert holds(text) is True


@pytest.mark.parametrize("text", FALSE)
def test_a_filter_that_does_not_hold(text):
    assert holds(text) is False


FAULTS = {
    "event.tpye == 'x'": (5, "undeclared reference to 'event.tpye'"),
    "event.type ==": (13, "Syntax error"),
    "event.type == 'ü' &&\n  nope": (23, "undeclared reference to 'nope'"),
    "event == 1": (0, "undeclared reference to 'event'"),
    "event.type > 1": (11, "no matching overload"),
    "1 + 1": (0, "must be true or false, gives INT"),
    "'a'": (0, "must be true or false, gives STRING"),
    "event.data.s.matches(event.data.pattern)": (13, "a pattern that stands in the filter"),
    "event.data.s . matches ( event.subject )": (15, "a pattern that stands in the filter"),
    # What looks like a text, and is none, hides nothing.
    r"event.id == r'\' && event.data.s.matches(event.id) && event.id == 'x'": (33, "stands in the filter"),
    "event.data.s == '' // '\n || event.data.s.matches(event.id) // '": (41, "stands in the filter"),
    "event.data.l.map(i, i + i).size() > 1": (22, "a filter with a comprehension can't have a '+'"),
    "bytes(event.subject) == b'x'": (0, "no bytes()"),
    " + ".join(["event.data.n"] * 10) + " > 1": (13 + 15 * 8, "at most 8 '+'"),
    "(" * 40 + "true" + ")" * 40: (0, "recursion limit"),
    "[1].map(i, i).size()": (0, "must be true or false"),
}


@pytest.mark.parametrize(("text", "fault"), FAULTS.items())
def test_a_fault_is_named_with_its_position(text, fault):
    position, why = fault
    with pytest.raises(InvalidArgument) as caught:
        compile_filter(text)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    assert violation.description.startswith(f"at position {position}: ")
    assert why in violation.description


def test_a_filter_has_a_length():
    compile_filter("true".ljust(MAX_FILTER))
    with pytest.raises(InvalidArgument, match="at most 1024 characters, is 1025"):
        compile_filter("true".ljust(MAX_FILTER + 1))


ERRORS = {
    "event.data.nothing == 1": "nothing",
    "event.data.total > 'x'": "overload",
    "event.data.items[7].sku == 'x'": "index=7",
    "1 / (event.data.count - 3) == 1": "divide by zero",
    "event.data.total": "gives DOUBLE, not true or false",
    "event.data": "gives MAP",
    "event.subject.matches('(')": "regular expression",
}


@pytest.mark.parametrize(("text", "why"), ERRORS.items())
def test_an_error_while_evaluating_is_told(text, why):
    with pytest.raises(FilterError, match=why):
        holds(text)


def long(data):
    return Event(type="t", source="/s", time=EVENT.time, data=data, sequence=1)


def test_what_multiplies_is_bounded():
    numbers = f"[{','.join(['1'] * 11_000)}]"
    with pytest.raises(FilterError, match="Iteration budget exceeded"):
        holds("event.data.all(i, i == 1)", long(numbers))
    large = long(f'"{"x" * LARGE}"')
    assert holds("event.data.size() > 1 && !event.data.contains('y')", large)
    for text in ("event.data + 'y' == 'y'", "[1].all(i, event.data == 'x')"):
        assert holds(text, long('"x"')) is (text[0] == "[")
        with pytest.raises(FilterError, match=f"at most {LARGE}"):
            holds(text, large)


@pytest.mark.parametrize(
    "data", ["[" * 500 + "]" * 500, "null", "1e400", "-9223372036854775808", f"{10**400}"]
)
def test_any_data_can_be_looked_at(data):
    with contextlib.suppress(FilterError):  # no match either
        assert holds("event.data == 1", long(data)) is False


def test_one_form_of_an_event_serves_many_filters():
    facts = Facts(EVENT)
    assert [compile_filter(text).holds(facts) for text in (TRUE[1], FALSE[1], TRUE[8])] == [True, False, True]
    assert compile_filter(TRUE[1]) is compile_filter(TRUE[1])
