"""Brokers' URLs: the grammar of each kind, what is refused, and that no credential shows anywhere."""

import pytest

from nightcrew.domain.broker.grammar import GRAMMARS, SCHEMES, BrokerKind
from nightcrew.domain.broker.url import broker_url
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import AgentSpec

NAMED = "${secret:PASSWORD}"


@pytest.mark.parametrize(
    ("text", "public", "place", "options"),
    [
        ("nats://h/shop.orders", "nats://h/shop.orders", ("shop.orders",), {}),
        ("NATS://H:4222/shop.*.a.>", "nats://h/shop.*.a.%3E", ("shop.*.a.>",), {}),
        (
            "nats+tls://h/s?start=all&durable=d&stream=S",
            "nats+tls://h/s?durable=d&start=all&stream=S",
            ("s",),
            {"durable": "d", "start": "all", "stream": "S"},
        ),
        ("redis://h:6380/0/orders", "redis://h:6380/0/orders", ("0", "orders"), {}),
        ("rediss://h/3/a%2Fb?group=g%20h", "rediss://h/3/a%2Fb?group=g%20h", ("3", "a/b"), {"group": "g h"}),
        ("amqp://h/orders", "amqp://h/orders", ("orders",), {}),
        (
            "amqp://h/%2F/q?exchange=amq.topic&routing_key=shop.%23",
            "amqp://h/%2F/q?exchange=amq.topic&routing_key=shop.%23",
            ("/", "q"),
            {"exchange": "amq.topic", "routing_key": "shop.#"},
        ),
        ("amqps://h:5671/v/q", "amqps://h/v/q", ("v", "q"), {}),
        ("mqtt://h/plant/+/temp/#", "mqtt://h/plant/+/temp/%23", ("plant/+/temp/#",), {}),
        (
            "mqtts://h/a?qos=2&client_id=c",
            "mqtts://h/a?client_id=c&qos=2",
            ("a",),
            {"qos": "2", "client_id": "c"},
        ),
        ("kafka://h/a.b-c_d", "kafka://h/a.b-c_d", ("a.b-c_d",), {}),
        ("kafka+tls://[::1]/t?group=g", "kafka+tls://[::1]/t?group=g", ("t",), {"group": "g"}),
    ],
)
def test_it_is_read_and_written_in_one_way(text, public, place, options):
    url = broker_url(text)
    assert (url.public, url.place, dict(url.options)) == (public, place, options)
    again = broker_url(public)
    assert (again.public, again.place, again.port, again.tls) == (public, place, url.port, url.tls)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_credentials_are_read_and_are_not_in_the_public_form(scheme):
    path = {"redis": "0/s", "rediss": "0/s"}.get(scheme, "s")
    url = broker_url(f"{scheme}://user:{NAMED}@h/{path}")
    assert (url.user, url.password) == ("user", NAMED)
    assert url.public == broker_url(f"{scheme}://h/{path}").public
    assert url.name == broker_url(f"{scheme}://h/{path}").name


def test_a_token_of_nats_is_a_secret():
    assert broker_url("nats://${secret:TOKEN}@h/s").user == "${secret:TOKEN}"
    with pytest.raises(ValueError, match="holds a token in the clear"):
        broker_url("nats://hunter2@h/s")


def test_a_user_alone_is_none_elsewhere():
    assert broker_url("mqtt://gate%40way@h/s").user == "gate@way"


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:hunter2@h/0/s",
        "redis://:hunter2@h/0/s",
        "amqp://u:${secret:A}hunter2@h/q",
        "mqtt://u:hunter2${secret:A}@h/q",
        "nats://u:hunter2/x@h/s",
        "nats://u:hunter2?x@h/s",
        "nats://u:${secret:hunter2@h/s",
        "kafka://u:hunter2@@h/t",
        "kafka://hunter2 @h/t",
        "mqtt://h:hunter2/t",
        "mqtt://h,hunter2/t",
        "mqtt://h/t?Hunter2=1",
        "redis://h/0/s?password=hunter2",
    ],
)
def test_a_refusal_names_no_credential(text):
    with pytest.raises(ValueError, match=r".") as caught:
        broker_url(text)
    assert "hunter2" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must be a broker's URL"),
        ("nats", "must be a broker's URL"),
        ("http://h/s", "must be a broker's URL"),
        ("nats://h", "must name one subject"),
        ("nats://h/", "must name one subject"),
        ("nats://h/a/b", "must name one subject"),
        ("nats://h/a..b", "must name one subject"),
        ("nats://h/a.>.b", "must name one subject"),
        ("nats://h/s*", "must name one subject"),
        ("nats:///s", "no right host"),
        ("nats://h:0/s", "no right port"),
        ("nats://h:65536/s", "no right port"),
        ("nats://h:٤/s", "no right port"),
        ("nats://h/s?durable=a.b", "the option durable must be a name"),
        ("nats://h/s?start=old", "the option start must be new or all"),
        ("nats://h/s?start=new&start=all", "the option start is given twice"),
        ("nats://h/s?group=g", "'group' is no option; there are stream, durable, start"),
        ("nats://h/a b", "must not hold spaces"),
        ("nats://h/" + "a" * 1100, "must be at most 1024 characters"),
        ("redis://h/s", "the database's number and the stream"),
        ("redis://h/x/s", "the database's number and the stream"),
        ("redis://h/0/", "the database's number and the stream"),
        ("amqp://h", "must name the queue"),
        ("amqp://h/a/b/c", "must name the queue"),
        ("mqtt://h/", "must be a topic"),
        ("mqtt://h/a#", "must be a topic filter"),
        ("mqtt://h/#/a", "must be a topic filter"),
        ("mqtt://h/a+/b", "must be a topic filter"),
        ("mqtt://h/a?qos=3", "the option qos must be 0 or 1 or 2"),
        ("kafka://h/a/b", "must name one topic"),
        ("kafka://h/a:b", "must name one topic"),
    ],
)
def test_what_is_wrong_is_named(text, why):
    with pytest.raises(ValueError, match=why.replace("?", r"\?")):
        broker_url(text)


@pytest.mark.parametrize("kind", BrokerKind)
def test_the_form_that_an_error_shows_is_right(kind):
    form = GRAMMARS[kind].form.replace("0|1|2", "1").replace("new|all", "new").replace("id|body", "id")
    assert broker_url(form.replace("…", "x")).kind is kind


def test_an_agents_spec_names_the_field_and_gives_each_url_once():
    def spec(*urls, disabled=False):
        triggers = [{"event": {"types": ["a"], "source_url": url}, "disabled": disabled} for url in urls]
        return AgentSpec.parse(
            {"program": {"python": {"entrypoint": "a:b"}}, "triggers": triggers}, field="spec"
        )

    with pytest.raises(InvalidArgument) as caught:
        spec("nats://h/a", "nats://u:hunter2@h/a")
    [violation] = caught.value.violations
    assert violation.field == "spec.triggers[1].event.source_url"
    assert violation.description.startswith(
        "holds a password in the clear; write ${secret:NAME} in its place"
    )
    assert "hunter2" not in caught.value.message
    assert spec("nats://h/a", "", "nats://h/b", "nats://h/a").source_urls == ("nats://h/a", "nats://h/b")
    assert spec("nats://h/a", disabled=True).source_urls == ()
