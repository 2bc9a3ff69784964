"""Who sent a webhook: the public examples of each scheme, rotation, and every way a proof can be wrong."""
# ruff: noqa: S105, S107 - the secrets of a test are its data

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import standardwebhooks

from nightcrew.domain.errors import InvalidArgument, Unauthenticated
from nightcrew.domain.spec.trigger import Webhook, WebhookScheme
from nightcrew.domain.webhook.headers import Headers
from nightcrew.domain.webhook.proof import Verified
from nightcrew.domain.webhook.schemes import SCHEMES, effective, secret_flaw

CASES = json.loads((Path(__file__).parents[1] / "data/conformance/webhooks.json").read_text())
STANDARD = CASES["standard_webhooks"]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))


def headers(*pairs, **named):
    named_pairs = [(name.replace("_", "-"), value) for name, value in named.items() if value is not None]
    return Headers([(name.encode(), value.encode("latin-1")) for name, value in [*pairs, *named_pairs]])


def verify(scheme, given, body=b"", secrets=("s",), now=NOW):
    return SCHEMES[WebhookScheme[scheme]].verify(given, body, secrets, now)


def refused(scheme, given, body=b"", secrets=("s",), now=NOW):
    with pytest.raises(Unauthenticated) as caught:
        verify(scheme, given, body, secrets, now)
    return caught.value.message


def hexed(secret, *parts):
    return hmac.digest(secret.encode(), b"".join(parts), "sha256").hex()


# ---- Standard Webhooks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", STANDARD["cases"], ids=lambda case: case["name"])
def test_standard_conformance(case):
    given = headers(
        webhook_id=STANDARD["id"],
        webhook_timestamp=str(STANDARD["timestamp"]),
        webhook_signature=case["signature"],
    )
    now = datetime.fromtimestamp(case.get("now", STANDARD["now"]), UTC)
    asked = ("STANDARD", given, STANDARD["body"].encode(), [STANDARD["secret"]], now)
    if case["accept"]:
        assert verify(*asked) == Verified(deliveries=(f"id:{STANDARD['id']}",))
    else:
        refused(*asked)


def standard(secret, body=b"{}", delivery="msg_1", moment=SECONDS, key=None):
    key = key or base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{delivery}.{moment}.".encode("latin-1") + body
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return {"webhook_id": delivery, "webhook_timestamp": moment, "webhook_signature": f"v1,{signature}"}


def test_what_the_public_library_signs_is_right():
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    signature = standardwebhooks.Webhook(secret).sign("msg_1", NOW, '{"é": 1}')
    given = headers(webhook_id="msg_1", webhook_timestamp=SECONDS, webhook_signature=signature)
    assert verify("STANDARD", given, '{"é": 1}'.encode(), [secret])


A, B = "whsec_QQ==", "whsec_Qg=="
SECRETS = {"STANDARD": A}


@pytest.mark.parametrize("secrets", [[A], [A, B], [B, A]])
def test_several_secrets_are_valid_at_once(secrets):
    assert verify("STANDARD", headers(**standard(A)), b"{}", secrets)
    assert "no signature" in refused("STANDARD", headers(**standard("whsec_Qw==")), b"{}", secrets)


def test_a_secret_without_its_prefix_is_base64_or_the_text_itself():
    assert verify("STANDARD", headers(**standard(A)), b"{}", ["QQ=="])
    assert verify("STANDARD", headers(**standard("", key=b"QQ==")), b"{}", ["QQ=="])
    assert verify("STANDARD", headers(**standard("", key=b"my secret")), b"{}", ["my secret"])
    refused("STANDARD", headers(**standard("", key=A.encode())), b"{}", [A])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"webhook_id": None}, "missing"),
        ({"webhook_id": ""}, "missing"),
        ({"webhook_id": "msg_2"}, "no signature"),
        ({"webhook_timestamp": None}, "missing"),
        ({"webhook_timestamp": "soon"}, "whole seconds"),
        ({"webhook_timestamp": SECONDS + ".0"}, "whole seconds"),
        ({"webhook_timestamp": "-5"}, "whole seconds"),
        ({"webhook_timestamp": "9" * 13}, "whole seconds"),
        ({"webhook_timestamp": "²"}, "whole seconds"),
        ({"webhook_timestamp": str(int(SECONDS) + 1)}, "no signature"),
        ({"webhook_signature": None}, "missing"),
        ({"webhook_signature": "v1"}, "no signature"),
        ({"webhook_signature": "v1,é"}, "no signature"),
        ({"webhook_signature": "v1,====="}, "no signature"),
    ],
)
def test_standard_headers_that_are_wrong(changed, why):
    assert why in refused("STANDARD", headers(**{**standard(A), **changed}), b"{}", [A])


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_doubled_proves_nothing(name):
    good = standard(A)
    again = good[name.replace("-", "_")]
    assert "given twice" in refused("STANDARD", headers((name, again), **good), b"{}", [A])
    assert "given twice" in refused("STANDARD", headers((name.upper(), again), **good), b"{}", [A])


@pytest.mark.parametrize("seconds", [-301, -300, 0, 300, 301])
@pytest.mark.parametrize("scheme", ["STANDARD", "STRIPE", "SLACK"])
def test_the_age_of_what_was_signed(scheme, seconds):
    given = signed(scheme, b"{}")
    now = NOW + timedelta(seconds=seconds)
    if abs(seconds) <= 300:
        assert verify(scheme, given, b"{}", [SECRETS.get(scheme, "s")], now)
    else:
        assert "300 s off" in refused(scheme, given, b"{}", [SECRETS.get(scheme, "s")], now)


# ---- the providers -------------------------------------------------------------------------------------------


def signed(scheme, body, secret="s"):
    match scheme:
        case "STANDARD":
            return headers(**standard(A, body))
        case "GITHUB":
            return headers(x_hub_signature_256="sha256=" + hexed(secret, body), x_github_delivery="d1")
        case "STRIPE":
            return headers(stripe_signature=f"t={SECONDS},v1={hexed(secret, SECONDS.encode(), b'.', body)}")
        case "SLACK":
            return headers(
                x_slack_request_timestamp=SECONDS,
                x_slack_signature="v0=" + hexed(secret, b"v0:", SECONDS.encode(), b":", body),
            )
        case "BEARER":
            return headers(authorization=f"Bearer {secret}")


def test_githubs_example():
    """From GitHub's page "Validating webhook deliveries"."""
    given = headers(
        x_hub_signature_256="sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        x_github_delivery="72d3162e-cc78-11e3-81ab-4c9367dc0958",
    )
    secret = "It's a Secret to Everybody"
    found = verify("GITHUB", given, b"Hello, World!", [secret])
    assert found.deliveries == (
        "id:72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "body:dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f",
    )
    refused("GITHUB", given, b"Hello, World", [secret])
    refused("GITHUB", given, b"Hello, World!", [secret + "."])


def test_slacks_example():
    """From Slack's page "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    given = headers(
        x_slack_request_timestamp="1531420618",
        x_slack_signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    )
    now = datetime.fromtimestamp(1531420620, UTC)
    assert verify("SLACK", given, body, ["8f742231b10e8888abcd99yyyzzz85a5"], now) == Verified()


def test_stripes_scheme():
    """Stripe's pages show the header, but no secret for it: this signature is openssl's."""
    right = "654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543"
    header = f"t=1492774577,v1={right},v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
    body, now = b'{"id":"evt_1","object":"event"}', datetime.fromtimestamp(1492774600, UTC)
    assert verify("STRIPE", headers(stripe_signature=header), body, ["whsec_test_secret"], now) == Verified(
        deliveries=("id:evt_1",)
    )
    several = header.replace("v1=", "v1=00,v1=")
    assert verify("STRIPE", headers(stripe_signature=several), body, ["whsec_test_secret"], now)
    for wrong in (
        header.replace("v1=", "v0="),
        header.replace("t=", "x="),
        "t=1," + header,
        header.replace(",", ";"),
        "",
        ",,=,",
        f"v1={right}",
    ):
        refused("STRIPE", headers(stripe_signature=wrong), body, ["whsec_test_secret"], now)


BODIES = [b"", b"{}", '{"name": "Zoë 📎"}'.encode(), "[1]".encode("utf-16"), b"\xff\x00\xfe", b"x" * 100_000]


@pytest.mark.parametrize("scheme", ["STANDARD", "GITHUB", "STRIPE", "SLACK"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_the_raw_body_is_what_counts(scheme, body):
    secret = SECRETS.get(scheme, "s")
    given = signed(scheme, body)
    verify(scheme, given, body, [secret])
    verify(scheme, given, body, ["another", secret])
    for other in (body + b" ", body[:-1] + b"!"):
        refused(scheme, given, other, [secret])
    refused(scheme, given, body, ["another"])
    refused(scheme, given, body, [])


def test_a_secret_that_is_no_ascii():
    verify("GITHUB", signed("GITHUB", b"{}", "schlüssel"), b"{}", ["schlüssel"])


@pytest.mark.parametrize("scheme", ["GITHUB", "STRIPE", "SLACK", "BEARER"])
def test_without_headers_there_is_no_proof(scheme):
    assert "missing" in refused(scheme, headers())


@pytest.mark.parametrize(
    ("scheme", "name", "value"),
    [
        ("GITHUB", "x-hub-signature-256", "sha256=" + hexed("s", b"{}")),
        ("STRIPE", "stripe-signature", f"t={SECONDS},v1={hexed('s', SECONDS.encode(), b'.{}')}"),
        ("SLACK", "x-slack-signature", "v0=" + hexed("s", b"v0:", SECONDS.encode(), b":{}")),
        ("SLACK", "x-slack-request-timestamp", SECONDS),
        ("BEARER", "authorization", "Bearer s"),
    ],
)
def test_a_proof_that_is_doubled_is_none(scheme, name, value):
    once = signed(scheme, b"{}")
    assert verify(scheme, once, b"{}")
    twice = headers(*[*once, (name, value)])
    assert "given twice" in refused(scheme, twice, b"{}")


@pytest.mark.parametrize("value", ["sha1=" + "0" * 40, "sha256=", hexed("s", b"{}"), "sha256=" + "0" * 64])
def test_github_signatures_of_another_form(value):
    refused("GITHUB", headers(x_hub_signature_256=value), b"{}")


def test_github_is_known_by_its_delivery_and_by_its_body():
    first = verify("GITHUB", signed("GITHUB", b"{}"), b"{}").deliveries
    bare = headers(x_hub_signature_256="sha256=" + hexed("s", b"{}"))
    assert verify("GITHUB", bare, b"{}").deliveries == first[1:]
    with pytest.raises(InvalidArgument, match="x-github-delivery"):
        verify("GITHUB", headers(*signed("GITHUB", b"{}"), ("x-github-delivery", "d2")), b"{}")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"type": "url_verification", "challenge": "3eZbrw1a", "token": "t"}, Verified(challenge="3eZbrw1a")),
        ({"type": "url_verification", "challenge": 5}, Verified()),
        ({"type": "event_callback", "event_id": "Ev1"}, Verified(deliveries=("id:Ev1",))),
        ({"type": "event_callback", "event_id": 7, "challenge": "x"}, Verified()),
        ({"type": "url_verification", "challenge": "\ud800"}, Verified()),
        ({"type": "event_callback", "event_id": "\ud800"}, Verified()),
        ([], Verified()),
    ],
)
def test_slacks_bodies(body, found):
    raw = json.dumps(body).encode()
    assert verify("SLACK", signed("SLACK", raw), raw) == found


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"id": 1}', b'{"id": ""}', b'{"id": "\\ud800"}', b"[" * 5000, b"\xff"]
)
def test_a_stripe_body_without_an_event_is_known_by_nothing(body):
    assert verify("STRIPE", signed("STRIPE", body), body) == Verified()


# ---- tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["Bearer s", "bearer s", "BEARER   s", "Bearer other"])
def test_bearer_tokens(value):
    assert verify("BEARER", headers(authorization=value), secrets=["s", "other"]) == Verified()


@pytest.mark.parametrize("value", ["s", "Basic s", "Bearer", "Bearer ", "Bearer ss", "Bearer S", "Bearer é"])
def test_what_is_no_bearer_token(value):
    refused("BEARER", headers(authorization=value))


@pytest.mark.parametrize(("scheme", "extra"), [("BEARER", {"authorization": "Bearer s"}), ("NONE", {})])
def test_an_idempotency_key_names_the_delivery(scheme, extra):
    assert verify(scheme, headers(**extra)) == Verified()
    assert verify(scheme, headers(idempotency_key="k", **extra)) == Verified(deliveries=("id:k",))
    with pytest.raises(InvalidArgument, match="idempotency-key"):
        verify(scheme, headers(("idempotency-key", "a"), ("Idempotency-Key", "a"), **extra))


# ---- secrets as they are written -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", list(WebhookScheme))
@pytest.mark.parametrize(
    ("secret", "where"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""),
        ("plain", ""),
        ("${secret:NAME}", ""),
        ("${secret:no name}", "all"),
        ("", "all"),
        ("x" * 1025, "all"),
        ("\ud800", "all"),
        ("whsec_", "STANDARD UNSPECIFIED"),
        ("whsec_?", "STANDARD UNSPECIFIED"),
        ("two words", "BEARER"),
        ("schlüssel", "BEARER"),
    ],
)
def test_secrets_that_are_none_are_told_and_not_shown(scheme, secret, where):
    webhook = Webhook.model_construct(scheme=scheme, secrets=("fine", secret))
    said = secret_flaw(webhook)
    if scheme is WebhookScheme.NONE:
        assert "takes no secrets" in said
    elif where == "all" or scheme.name in where.split():
        assert said.startswith("number 2: ")
        assert secret in {"", "whsec_"} or secret not in said
    else:
        assert not said


def test_ten_secrets_are_enough():
    assert not secret_flaw(Webhook(secrets=("s",) * 10))
    assert "at most 10" in secret_flaw(Webhook(secrets=("s",) * 11))
    assert not secret_flaw(Webhook(scheme=WebhookScheme.NONE))
    assert effective(Webhook()) is WebhookScheme.STANDARD
