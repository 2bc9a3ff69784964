"""What a webhook's request becomes as an input: bodies of every kind, and headers that prove nothing any more."""

import json

import pytest

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.values import flaw
from nightcrew.domain.webhook.content import MAX_DEPTH, object_in, webhook_input
from nightcrew.domain.webhook.headers import Headers


def body_of(body, content_type=None):
    pairs = [] if content_type is None else [(b"Content-Type", content_type.encode())]
    found = webhook_input(method="POST", query=[], headers=Headers(pairs), body=body)
    assert found["method"] == "POST"
    return found["body"], found.get("encoding")


def nested(depth, opening="[", closing="]"):
    return (opening * depth + "1" + closing * depth).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b'{"a": [1, 2.5, null]}', "application/json", {"a": [1, 2.5, None]}),
        (b'{"a": 1}', "application/json; charset=utf-8", {"a": 1}),
        (b'{"a": 1}', "Application/CloudEvents+JSON", {"a": 1}),
        ('"Zoë"'.encode(), "application/json", "Zoë"),
        (b'{"a": 1}', None, {"a": 1}),
        (b"not json", None, "not json"),
        (b"NaN", None, "NaN"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b"payload=%7B%7D", "application/x-www-form-urlencoded", "payload=%7B%7D"),
        (b"", "application/json", ""),
        (b"", None, ""),
        (nested(MAX_DEPTH), "application/json", json.loads(nested(MAX_DEPTH))),
        (nested(MAX_DEPTH + 1), "application/json", nested(MAX_DEPTH + 1).decode()),
        (nested(31, '{"a":', "}"), None, nested(31, '{"a":', "}").decode()),
        (nested(50_000), "application/json", nested(50_000).decode()),
        (b"[" + b"[]," * 500 + b"1]", "application/json", [[]] * 500 + [1]),
    ],
)
def test_bodies(body, content_type, value):
    assert body_of(body, content_type) == (value, None)


@pytest.mark.parametrize("content_type", [None, "image/png", "text/plain"])
def test_what_is_no_text_is_base64(content_type):
    assert body_of(b"\xff\x00", content_type) == ("/wA=", "base64")


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"\xff", b"NaN", b"[1,]", b"1" * 5000, b"{} {}"])
def test_a_body_that_says_it_is_json_and_is_none_is_refused(body):
    with pytest.raises(InvalidArgument) as caught:
        body_of(body, "application/json")
    assert caught.value.violations[0].field == "body"


def test_no_depth_brings_anything_down():
    for depth in range(MAX_DEPTH - 2, 3000, 37):
        value, _ = body_of(nested(depth), "application/json")
        assert isinstance(value, str) == (depth > MAX_DEPTH)
        assert flaw(value) == ""
    assert object_in(nested(100_000)) == {}


def test_headers_without_credentials():
    given = {
        "Authorization": "Bearer t",
        "Proxy-Authorization": "x",
        "Cookie": "a=b",
        "Webhook-Signature": "v1,x",
        "X-Hub-Signature": "x",
        "X-Hub-Signature-256": "x",
        "Stripe-Signature": "x",
        "X-Slack-Signature": "x",
        "X-Gitlab-Token": "x",
        "X-Api-Key": "x",
        "X-Webhook-Secret": "x",
        "X-GitHub-Delivery": "d",
        "X-GitHub-Event": "push",
        "Content-Type": "text/plain",
        "Idempotency-Key": "k",
        "X-Name": "Zoë",
    }
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    found = webhook_input(method="POST", query=[], headers=Headers([*pairs, (b"x-name", b"two")]), body=b"")
    assert found["headers"] == {
        "x-github-delivery": "d",
        "x-github-event": "push",
        "content-type": "text/plain",
        "idempotency-key": "k",
        "x-name": "Zoë, two",
    }


def test_the_query():
    query = [("a", "1"), ("b", ""), ("a", "2")]
    found = webhook_input(method="PUT", query=query, headers=Headers([]), body=b"")
    assert found == {"body": "", "headers": {}, "query": {"a": ["1", "2"], "b": ""}, "method": "PUT"}
