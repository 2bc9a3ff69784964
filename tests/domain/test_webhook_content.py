"""What a webhook's request becomes as an input: bodies of every kind, and headers that prove nothing any more."""

import base64
import contextlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.trigger import WebhookScheme
from nightcrew.domain.values import checked, flaw
from nightcrew.domain.webhook.content import MAX_DEPTH, texts_in, webhook_input
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.schemes import SCHEMES


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
    assert texts_in(nested(100_000), "id") == ("",)


def test_headers_without_credentials():
    sent = {
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
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
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


TEXT = st.sampled_from(["", "x", "url_verification", "\ud800"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)
EVENT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["id", "type", "challenge", "event_id"], TEXT | JSON)
)


@given(
    (EVENT | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20),
    st.sampled_from(list(SCHEMES)),
    st.data(),
)
def test_whatever_comes_is_taken_or_refused_in_words(body, scheme, data):
    """Signed rightly, as far as a body without sense can be: what is left must be an answer, and text that can be kept."""
    headers = Headers(
        signed(scheme, body, data.draw(st.sampled_from(["application/json", "text/plain", ""])))
    )
    found = SCHEMES[scheme].verify(headers, body, ["s"], datetime.fromtimestamp(MOMENT, UTC))
    for text in (*found.deliveries, found.challenge or ""):
        text.encode()
    with contextlib.suppress(InvalidArgument):
        checked(webhook_input(method="POST", query=[], headers=headers, body=body), field="input")


MOMENT = 1_767_225_600


def signed(scheme, body, content_type):
    """The headers that prove this body, under the secret `s`."""
    moment = str(MOMENT).encode()

    def mac(content):
        return hmac.digest(b"s", content, "sha256")

    proofs = {
        WebhookScheme.STANDARD: {
            "webhook-id": b"\xe9",
            "webhook-timestamp": moment,
            "webhook-signature": b"v1," + base64.b64encode(mac(b"\xe9." + moment + b"." + body)),
        },
        WebhookScheme.GITHUB: {"x-hub-signature-256": b"sha256=" + mac(body).hex().encode()},
        WebhookScheme.STRIPE: {
            "stripe-signature": b"t=" + moment + b",v1=" + mac(moment + b"." + body).hex().encode()
        },
        WebhookScheme.SLACK: {
            "x-slack-request-timestamp": moment,
            "x-slack-signature": b"v0=" + mac(b"v0:" + moment + b":" + body).hex().encode(),
        },
        WebhookScheme.BEARER: {"authorization": b"Bearer s", "idempotency-key": b"\xff"},
        WebhookScheme.NONE: {},
    }
    named = {**proofs[scheme], "content-type": content_type.encode()}
    return [(name.encode(), value) for name, value in named.items()]
