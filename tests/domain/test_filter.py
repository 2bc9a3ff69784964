"""The filter language: what it reads, and that every fault is named with its position."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.filter import MAX_DEPTH, And, Comparison, Not, Or, Order, parse, parse_order
from nightcrew.domain.filter_fields import BOOL, INTEGER, STRING, TIME, enum_of

FIELDS = {
    "agent_id": STRING,
    "trigger.kind": enum_of(["KIND_MANUAL"]),
    "state": enum_of(ExecutionState),
    "attempt": INTEGER,
    "create_time": TIME,
    "done": BOOL,
    "labels.*": STRING,
}
PIECES = [
    "agent_id",
    "labels",
    "team",
    "attempt",
    ".",
    "=",
    "!=",
    ":",
    "<",
    "AND",
    "OR",
    "NOT",
    "-",
    "(",
    ")",
]
PIECES += ['"', "'", "\\", "*", "1", "true", ",", "\x00", "é"]
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def c(field, operator, value, position=0):
    return Comparison(field, operator, value, position)


A1, A2, A3, A4 = (lambda position, n=n: c("attempt", "=", n, position) for n in (1, 2, 3, 4))


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_nothing_asked_is_no_filter(text):
    assert parse(text, FIELDS) is None


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('agent_id = "digest"', c("agent_id", "=", "digest")),
        ("agent_id='digest'", c("agent_id", "=", "digest")),
        ("  agent_id   !=   digest  ", c("agent_id", "!=", "digest", 2)),
        (r'agent_id = "a \"b\" \\ \n c"', c("agent_id", "=", 'a "b" \\ \n c')),
        ('agent_id = "it\'s"', c("agent_id", "=", "it's")),
        ('agent_id = "AND"', c("agent_id", "=", "AND")),
        ('agent_id = ""', c("agent_id", "=", "")),
        ('agent_id : "dig"', c("agent_id", ":", "dig")),
        ("agent_id:*", c("agent_id", ":", "*")),
        ("agent_id = *", c("agent_id", "=", "*")),
        ('agent_id < "m"', c("agent_id", "<", "m")),
        ("state = STATE_FAILED", c("state", "=", "STATE_FAILED")),
        ('state:"STATE_FAILED"', c("state", "=", "STATE_FAILED")),
        ("trigger.kind = KIND_MANUAL", c("trigger.kind", "=", "KIND_MANUAL")),
        ("attempt >= 3", c("attempt", ">=", 3)),
        ("attempt<=-3", c("attempt", "<=", -3)),
        ('attempt = "3"', c("attempt", "=", 3)),
        ("attempt:3", c("attempt", "=", 3)),
        ("attempt:*", c("attempt", ":", "*")),
        ("attempt = 9223372036854775807", c("attempt", "=", 2**63 - 1)),
        ('create_time > "2026-01-01T00:00:00Z"', c("create_time", ">", DAY)),
        ("create_time>2026-01-01T01:00:00+01:00", c("create_time", ">", DAY)),
        ("done = true", c("done", "=", True)),
        ("done != false", c("done", "!=", False)),
        ('labels.team = "ops"', c("labels.team", "=", "ops")),
        ("labels.team:ops", c("labels.team", "=", "ops")),
        ("labels.team:*", c("labels.team", ":", "*")),
        ("labels:team", c("labels.team", ":", "*")),
        ('labels:"my team"', c("labels.my team", ":", "*")),
        ('labels."my team" = x', c("labels.my team", "=", "x")),
        ("labels.app.example.com/name = x", c("labels.app.example.com/name", "=", "x")),
        ("labels.NOT = x", c("labels.NOT", "=", "x")),
        ("attempt=1 AND attempt=2", And((A1(0), A2(14)))),
        ("attempt=1 attempt=2", And((A1(0), A2(10)))),
        ("attempt=1 OR attempt=2", Or((A1(0), A2(13)))),
        ("NOT attempt=1", Not(A1(4))),
        ("-attempt=1", Not(A1(1))),
        ("NOT (attempt=1)", Not(A1(5))),
        ("NOT(attempt=1)", Not(A1(4))),
        ("-(attempt=1 OR attempt=2)", Not(Or((A1(2), A2(15))))),
        ("((attempt=1))", A1(2)),
        # AIP-160: OR binds tighter than AND.
        (
            "attempt=1 AND attempt=2 OR attempt=3 AND attempt=4",
            And((A1(0), Or((A2(14), A3(27))), A4(41))),
        ),
        (
            "(attempt=1 AND attempt=2) OR attempt=3",
            Or((And((A1(1), A2(15))), A3(29))),
        ),
        ("attempt=1 NOT attempt=2 OR attempt=3", And((A1(0), Or((Not(A2(14)), A3(27)))))),
        (
            'agent_id = "digest" AND state = "STATE_FAILED" AND create_time > "2026-01-01T00:00:00Z"',
            And(
                (
                    c("agent_id", "=", "digest"),
                    c("state", "=", "STATE_FAILED", 24),
                    c("create_time", ">", DAY, 51),
                )
            ),
        ),
    ],
)
def test_what_is_read(text, tree):
    assert parse(text, FIELDS) == tree


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("agent = 1", 0, "there is no field 'agent'; there are agent_id, attempt,"),
        ("attempt = 1 AND agnt = 1", 16, "there is no field 'agnt'"),
        ("labels. = 1", 7, "a comparison is expected"),
        ('labels."" = 1', 0, "there is no field 'labels.'"),
        ("labels.* : *", 0, "there is no field 'labels.*'"),
        ("agent_id.x = 1", 0, "there is no field 'agent_id.x'"),
        ("labels = x", 0, "labels is a map; write labels.KEY = …"),
        ("labels:*", 7, "a key of labels is expected"),
        ("digest", 0, "there is no field 'digest'"),
        ("agent_id", 8, "an operator (= != < <= > >= :) is expected after agent_id"),
        ("agent_id digest", 9, "an operator"),
        ("agent_id(1)", 0, "functions are not supported"),
        ("agent_id =", 10, "a value is expected"),
        ("agent_id = AND attempt = 1", 11, "a value is expected"),
        ("agent_id == x", 10, "a value is expected"),
        ("attempt <> 1", 9, "a value is expected"),
        ("agent_id = (a OR b)", 11, "lists of values are not supported"),
        ('agent_id = "digest', 11, "this quote is never closed"),
        ("agent_id = 'digest\"", 11, "this quote is never closed"),
        ("agent_id = a = b", 13, "unexpected '='"),
        ("agent_id = a, attempt = 1", 12, "unexpected ','"),
        ("attempt = 1 AND", 15, "a comparison is expected"),
        ("attempt = 1 OR", 14, "a comparison is expected"),
        ("attempt = 1 AND AND attempt = 2", 16, "a comparison is expected"),
        ("AND", 0, "a comparison is expected"),
        ("NOT", 3, "a comparison is expected"),
        ("NOT NOT attempt = 1", 4, "a comparison is expected"),
        ("- attempt = 1", 1, "a comparison is expected"),
        ("attempt = 1 and attempt = 2", 12, "write AND in capitals"),
        ("not attempt = 1", 0, "write NOT in capitals"),
        ("()", 1, "a comparison is expected"),
        ("(attempt = 1", 12, "a `)` is expected for the `(` at position 0"),
        ("attempt = 1)", 11, "this `)` closes nothing"),
        ("= 1", 0, "a comparison is expected"),
        ('"agent_id" = 1', 0, "a comparison is expected"),
        ("state = FAILED", 8, "must be one of STATE_QUEUED, STATE_RUNNING,"),
        ("state > STATE_FAILED", 6, "state has no order; use = or != or :"),
        ("done < true", 5, "done has no order"),
        ("done = yes", 7, "must be true or false"),
        ("attempt = three", 10, "must be a whole number"),
        ("attempt = 1.5", 10, "must be a whole number"),
        ("attempt = ٣", 10, "must be a whole number"),
        ("attempt = --1", 10, "must be a whole number"),
        ("attempt = 9223372036854775808", 10, "64 bits"),
        ("attempt = " + "9" * 5000, 10, "must be a whole number"),
        ("create_time > yesterday", 14, "must be an RFC 3339 time"),
        ("create_time > 2026-01-01", 14, "must have a zone"),
        ("create_time > 0001-01-01T00:00:00+05:00", 14, "years 1 to 9999"),
        ("(" * (MAX_DEPTH + 1) + "attempt=1", MAX_DEPTH, "nested more than 32 deep"),
    ],
)
def test_every_fault_has_its_position(text, position, said):
    with pytest.raises(InvalidArgument) as caught:
        parse(text, FIELDS)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    assert violation.description.startswith(f"at position {position}: ")
    assert said in violation.description


def test_the_path_can_be_named_and_the_length_is_bounded():
    with pytest.raises(InvalidArgument, match="selector: must be at most 8192 characters, is 9000"):
        parse("x" * 9000, FIELDS, field="selector")


def test_the_deepest_that_is_allowed():
    assert parse("(" * MAX_DEPTH + "attempt=1" + ")" * MAX_DEPTH, FIELDS) == A1(MAX_DEPTH)


@given(st.lists(st.sampled_from([" ", *PIECES]), max_size=30))
def test_any_text_is_read_or_refused_with_a_position(parts):
    text = "".join(parts)
    try:
        parse(text, FIELDS)
    except InvalidArgument as error:
        found = error.violations[0].description.split(":")[0]
        assert 0 <= int(found.removeprefix("at position ")) <= len(text)


@given(st.text())
def test_any_text_survives_quoting(value):
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'agent_id = "{quoted}"', FIELDS) == c("agent_id", "=", value)


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("", ()),
        ("  ", ()),
        ("create_time desc", (Order("create_time", descending=True),)),
        ("id", (Order("id"),)),
        ("id asc", (Order("id"),)),
        (" create_time   desc ,id ", (Order("create_time", descending=True), Order("id"))),
    ],
)
def test_orders(text, orders):
    assert parse_order(text, ["create_time", "id"]) == orders


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("name", 0, "no order by 'name'; there is one by create_time, id"),
        ("id, name", 4, "no order by 'name'"),
        ("id,,create_time", 3, "a field with an optional `desc` is expected"),
        ("id desc desc", 0, "a field with an optional `desc` is expected"),
        ("id DESC", 0, "a field with an optional `desc` is expected"),
        ("id,", 3, "a field with an optional `desc` is expected"),
        ("id, id desc", 4, "'id' is named twice"),
    ],
)
def test_orders_refused(text, position, said):
    with pytest.raises(InvalidArgument) as caught:
        parse_order(text, ["create_time", "id"])
    (violation,) = caught.value.violations
    assert violation.field == "order_by"
    assert violation.description.startswith(f"at position {position}: ")
    assert said in violation.description


def test_a_long_order_is_refused():
    with pytest.raises(InvalidArgument, match="order_by: must be at most 8192"):
        parse_order("id," * 4000, ["id"])
