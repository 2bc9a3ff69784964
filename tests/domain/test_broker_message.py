"""Brokers' messages as events: CloudEvents in both modes, anything else, and what is no event."""

from datetime import UTC, datetime

import pytest

from nightcrew.domain.broker.message import Message, Unfit, event_of
from nightcrew.domain.broker.url import broker_url

URL = broker_url("nats://u:${secret:P}@h/shop.orders")
EVENT = b'{"specversion":"1.0","id":"7","source":"/shop","type":"shop.order","subject":"o/7","data":{"n":1},"level":3}'


def message(body=b"", *, headers=None, content_type=""):
    return Message(
        body=body, headers=headers or {}, content_type=content_type, subject="shop.orders.new", identity="s-1"
    )


@pytest.mark.parametrize(
    ("body", "content_type", "data", "encoded"),
    [
        (b'{"n": 1}', "", {"n": 1}, False),
        (b'{"n": 1}', "application/vnd.shop+json; charset=utf-8", {"n": 1}, False),
        (b'{"n": 1}', "text/plain", '{"n": 1}', False),
        (b"17", "", 17, False),
        (b"hello", "", "hello", False),
        (b"NaN", "", "NaN", False),
        (b"[" * 100_000, "", "[" * 100_000, False),
        ("grüße".encode(), "text/plain", "grüße", False),
        (b"\xff\x00", "", "/wA=", True),
        (b"\xff\x00", "application/octet-stream", "/wA=", True),
        (b"", "", None, False),
    ],
)
def test_any_message_becomes_an_event(body, content_type, data, encoded):
    event = event_of(message(body, content_type=content_type), URL)
    assert (event.type, event.source, event.id, event.subject) == (
        "nats.message",
        "nats://h/shop.orders",
        "s-1",
        "shop.orders.new",
    )
    assert event.data == data
    assert event.extensions == {
        **({"datacontentencoding": "base64"} if encoded else {}),
        "brokerurl": "nats://h/shop.orders",
    }


def test_a_structured_cloud_event_is_taken_as_it_is():
    event = event_of(message(EVENT, content_type="application/cloudevents+json; charset=UTF-8"), URL)
    assert (event.id, event.source, event.type, event.subject) == ("7", "/shop", "shop.order", "o/7")
    assert event.data == {"n": 1}
    assert event.time is None
    assert event.extensions == {"level": "3", "brokerurl": "nats://h/shop.orders"}


@pytest.mark.parametrize("prefix", ["ce-", "ce_", "cloudEvents:", "cloudEvents_", ""])
def test_a_binary_cloud_event_is_taken_as_it_is(prefix):
    attributes = {
        "specversion": "1.0", "id": "7", "source": "/shop", "type": "shop.order", "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    headers = {f"{prefix}{name}": value for name, value in attributes.items()}
    event = event_of(message(b'{"n":1}', headers=headers, content_type="application/json"), URL)
    assert (event.id, event.source, event.type, event.data) == ("7", "/shop", "shop.order", {"n": 1})
    assert event.time == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.extensions == {"datacontenttype": "application/json", "brokerurl": "nats://h/shop.orders"}


def test_only_natss_binding_escapes_its_values():
    def subject(prefix):
        bare = {"specversion": "1.0", "id": "7", "source": "/s", "type": "t", "subject": "50%25"}
        return event_of(message(b"1", headers={f"{prefix}{k}": v for k, v in bare.items()}), URL).subject

    assert (subject("ce-"), subject("ce_")) == ("50%", "50%25")


def test_nobody_says_where_a_message_came_from_but_its_reader():
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "7",
        "ce-source": "/s",
        "ce-type": "t",
        "ce-brokerurl": "nats://else/where",
    }
    event = event_of(message(b"1", headers=headers), URL)
    assert event.extensions["brokerurl"] == "nats://h/shop.orders"


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "why"),
    [
        (b"x" * (2**20 + 1), "", {}, "at most 1048576 are taken"),
        (b"[]", "application/cloudevents-batch+json", {}, "a batch of CloudEvents"),
        (b"{", "application/cloudevents+json", {}, "no JSON object"),
        (b"[]", "application/cloudevents+json", {}, "no JSON object"),
        (EVENT.replace(b"1.0", b"0.3"), "application/cloudevents+json", {}, "another specversion"),
        (EVENT.replace(b'"id":"7",', b""), "application/cloudevents+json", {}, "without 'id'"),
        (
            EVENT.replace(b'"level":3', b'"level":[3]'),
            "application/cloudevents+json",
            {},
            "neither text, number",
        ),
        (
            EVENT.replace(b'"level":3', b'"time":"noon"'),
            "application/cloudevents+json",
            {},
            "whose time is none",
        ),
        (b"{", "application/json", {}, "it is no JSON, though"),
        (b"1", "", {"ce-id": "7"}, "another specversion"),
    ],
)
def test_what_is_no_event_is_unfit(body, content_type, headers, why):
    with pytest.raises(Unfit, match=why):
        event_of(message(body, headers=headers, content_type=content_type), URL)
