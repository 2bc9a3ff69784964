"""What an answer means for a delivery, over its grid, and which tables of nightcrew.toml are hooks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from nightcrew.domain.delivery import JITTER, DeliveryState, Tried, first, judged
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.event_filter import FilterError
from nightcrew.domain.spec.outbound import SCHEDULE, OutboundHook
from nightcrew.domain.values import encode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = {
    "name": "ops",
    "url": "https://h/in",
    "types": ["a.b"],
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def hook(**changes):
    return OutboundHook.parse({**GOOD, **changes}, field="outbound[0]")


def after(tried, *, attempts=0, random=0.0, **changes):
    delivery = replace(first(hook(**changes), 7, "a.b", now=NOW), attempts=attempts)
    return judged(delivery, tried, hook(**changes), now=NOW, random=random)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_what_is_taken_has_no_delivery_any_more(status):
    assert after(Tried(status)) is None


@pytest.mark.parametrize("attempts", range(9))
@pytest.mark.parametrize("status", [0, 100, 301, 400, 401, 404, 408, 429, 500, 503])
def test_what_is_not_taken_waits_as_the_schedule_says(status, attempts):
    for random in (0.0, 0.5, 0.999):
        found = after(Tried(status, "why"), attempts=attempts, random=random)
        assert (found.state, found.attempts, found.status) == (DeliveryState.RETRYING, attempts + 1, status)
        wait = found.next_attempt_time - NOW
        assert SCHEDULE[attempts] <= wait <= SCHEDULE[attempts] * (1 + JITTER)
    assert after(Tried(status, "why"), attempts=9).state is DeliveryState.DEAD


def test_the_whole_schedule_is_over_three_days():
    assert timedelta(days=3) < sum(SCHEDULE, timedelta()) < timedelta(days=3, hours=6)


def test_gone_is_dead_at_once():
    found = after(Tried(410))
    assert (found.state, found.next_attempt_time) == (DeliveryState.DEAD, None)
    assert "gone" in found.reason


def test_a_longer_rest_is_heeded_and_a_shorter_one_is_not():
    assert after(Tried(429, rest=100.0)).next_attempt_time == NOW + timedelta(seconds=100)
    assert after(Tried(429, rest=1.0)).next_attempt_time == NOW + timedelta(seconds=5)


def test_its_own_schedule_repeats_its_last_wait():
    own = {"schedule": ["1s", 10], "max_attempts": 4}
    assert [after(Tried(500), attempts=count, **own).next_attempt_time - NOW for count in range(3)] == [
        timedelta(seconds=one) for one in (1, 10, 10)
    ]
    assert after(Tried(500), attempts=3, **own).state is DeliveryState.DEAD
    assert after(Tried(500), attempts=0, max_attempts=1).state is DeliveryState.DEAD


def test_a_long_reason_is_cut():
    assert len(after(Tried(500, "x" * 10_000)).reason) == 1024


@pytest.mark.parametrize(
    ("types", "event_type", "wanted"),
    [
        (["a.b"], "a.b", True), (["a.b"], "a.b.c", False), (["a.b"], "a", False), (["a.*"], "a.b", True), (["a.*"], "a", False),
        (["a*"], "a", True), (["*"], "anything", True), (["x", "a.*"], "a.b.c", True), (["x", "y"], "a", False),
    ],
)  # fmt: skip
def test_which_types_it_wants(types, event_type, wanted):
    assert hook(types=types).wants(event(event_type)) is wanted


def event(kind, **data):
    return Event(sequence=1, type=kind, source="/s", time=NOW, data=encode(data))


def test_a_filter_looks_at_events_of_its_types_only():
    one = hook(types=["a.b"], filter='event.data.level > 3 && event.source == "/s"')
    assert one.wants(event("a.b", level=4))
    assert not one.wants(event("a.b", level=3))
    assert not one.wants(event("a.c"))
    with pytest.raises(FilterError):
        one.wants(event("a.b"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Not A Slug"), ("name", ""), ("url", "ftp://h"), ("url", "https://u:p@h"), ("url", "https://h/${secret:}"),
        ("types", []), ("types", ["a.*.b"]), ("types", [""]), ("filter", "event.colour == 1"), ("filter", "1 +"), ("filter", "event.type"), ("secret", "hunter2"), ("secret", "whsec_"), ("secret", "whsec_c2hvcnQ="),
        ("secret", "whsec_!!!"), ("secret", "${secret:no way}"), ("mode", "batched"), ("headers", {"a b": "c"}), ("headers", {"Host": "h"}),
        ("headers", {"webhook-id": "1"}), ("headers", {"ce-type": "x"}), ("headers", {"a": "${secret:"}), ("max_attempts", 0),
        ("schedule", []), ("schedule", ["0s"]), ("schedule", ["-1s"]), ("timeout", "0s"), ("surprise", 1),
    ],
)  # fmt: skip
def test_a_table_that_is_no_hook_is_refused_by_field(field, value):
    with pytest.raises(InvalidArgument) as caught:
        hook(**{field: value})
    assert all(one.field.startswith(f"outbound[0].{field}") for one in caught.value.violations)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("field", ["name", "url", "types", "secret"])
def test_what_must_be_there(field):
    given = {key: value for key, value in GOOD.items() if key != field}
    with pytest.raises(InvalidArgument) as caught:
        OutboundHook.parse(given)
    assert [one.field for one in caught.value.violations] == [field]


def test_a_secret_is_not_shown():
    assert "whsec_" not in repr(hook())
