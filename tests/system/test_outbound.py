"""The way out against a real server: what is checked is what is connected to, and every bound holds."""

import asyncio
import datetime as dt
import itertools
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.peer.receiver import Receiver, Reply, json_reply

from nightcrew.domain.addresses import Allowed
from nightcrew.ports.outbound import AnswerTooLarge, OutboundFailed, OutboundRefused, Outgoing
from nightcrew.system.addresses import Addresses
from nightcrew.system.outbound import HttpWayOut

HERE = Allowed(private=True)


@pytest.fixture
async def way():
    made = []

    def make(allowed=HERE, **rest) -> HttpWayOut:
        made.append(HttpWayOut(Addresses(allowed, **rest)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def names(monkeypatch):
    """A resolver of the test's own: name → the addresses of each look-up, one after the other."""
    looked: list[str] = []

    def resolve(table):
        async def getaddrinfo(self, host, port, **_):
            looked.append(host)
            turn = table[host]
            found = next(turn)
            if isinstance(found, Exception):
                raise found
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
        return looked

    return resolve


def get(url, **rest) -> Outgoing:
    return Outgoing(method="GET", url=url, **rest)


async def test_a_request_and_its_answer(way):
    with Receiver(lambda came: json_reply({"got": came.json}, x_trace="1")) as receiver:
        request = Outgoing(
            method="POST", url=receiver.url("/in?a=b"), headers={"X-One": "1"}, body=b'{"a":1}', timeout=5
        )
        answer = await way().send(request)
    assert (answer.status, answer.body) == (200, b'{"got": {"a": 1}}')
    assert answer.headers["x_trace"] == "1"
    (came,) = receiver.came
    assert (came.method, came.path, came.headers["x-one"]) == ("POST", "/in?a=b", "1")
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.1", "[::ffff:127.0.0.1]", "0", "127.1"]
)
async def test_nothing_is_sent_to_this_machine_unless_it_is_allowed(way, host):
    with Receiver() as receiver:
        with pytest.raises(OutboundRefused, match="this machine"):
            await way(Allowed()).send(get(receiver.url(host=host)))
        assert receiver.came == []
        assert (await way(HERE).send(get(receiver.url(host=host)))).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0", "[::1]"])
async def test_its_own_ports_are_refused_whatever_is_allowed(way, host):
    with Receiver() as receiver:
        own = frozenset({receiver.port})
        with pytest.raises(OutboundRefused, match="own ports"):
            await way(HERE, own_ports=lambda: own).send(get(receiver.url(host=host)))
        assert receiver.came == []


async def test_a_name_that_leads_elsewhere_the_second_time_is_no_way_in(way, names):
    """DNS rebinding: the first answer is public, the second this machine. Only one look-up is made."""
    with Receiver() as receiver:
        looked = names({"rebind.example": itertools.chain([["192.0.2.1"]], itertools.repeat(["127.0.0.1"]))})
        with pytest.raises(OutboundRefused, match=r"rebind.example \(192.0.2.1\) is set aside"):
            await way(Allowed()).send(get(receiver.url(host="rebind.example")))
        assert looked == ["rebind.example"]
        assert receiver.came == []


async def test_the_connection_goes_to_the_address_that_was_checked(way, names):
    with Receiver() as receiver:
        looked = names({"good.example": iter([["127.0.0.1"]])})
        answer = await way(Allowed.of(["good.example"])).send(get(receiver.url(host="good.example")))
        assert answer.status == 200
        assert looked == ["good.example"]
        assert receiver.came[0].headers["host"] == f"good.example:{receiver.port}"


async def test_of_several_addresses_the_allowed_ones_are_used(way, names):
    with Receiver() as receiver:
        names({"mixed.example": iter([["169.254.169.254", "127.0.0.1"]])})
        answer = await way(Allowed.of(["127.0.0.0/8"])).send(get(receiver.url(host="mixed.example")))
        assert answer.status == 200


async def test_a_name_that_is_not_known_may_be_tried_again(way, names):
    names({"gone.example": iter([socket.gaierror(-2, "Name or service not known")])})
    with pytest.raises(OutboundFailed, match="can't be resolved: Name or service not known") as caught:
        await way().send(get("http://gone.example/"))
    assert caught.value.reason == "connect"


async def test_redirects_are_followed_as_often_as_is_said(way):
    def answer(came):
        left = int(came.path.removeprefix("/"))
        return Reply(302, headers={"location": f"/{left - 1}"}) if left else Reply(body=b"there")

    with Receiver(answer) as receiver:
        assert (await way().send(get(receiver.url("/3"), redirects=3))).body == b"there"
        with pytest.raises(OutboundRefused, match="more than 3 redirects"):
            await way().send(get(receiver.url("/4"), redirects=3))
        assert (await way().send(get(receiver.url("/4")))).status == 302


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://[::1]:{port}/", "this machine"),
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("file:///etc/passwd", "must begin with http"),
        ("http://user@127.0.0.1/", "no user"),
    ],
)
async def test_a_redirect_is_checked_again(way, location, why):
    with Receiver() as receiver:
        receiver.answer = lambda _: Reply(307, headers={"location": location.format(port=receiver.port)})
        with pytest.raises(OutboundRefused, match=why):
            await way(Allowed.of(["127.0.0.0/8"])).send(get(receiver.url(), redirects=5))
        assert len(receiver.came) == 1


async def test_credentials_do_not_cross_origins(way):
    with Receiver() as other, Receiver() as first:
        first.answer = lambda came: Reply(
            307, headers={"location": "/same" if came.path == "/" else other.url("/other")}
        )
        headers = {
            "Authorization": "Bearer s3cret",
            "Cookie": "a=b",
            "X-Api-Key": "k",
            "Content-Type": "application/json",
        }
        await way().send(Outgoing(method="POST", url=first.url(), headers=headers, body=b"{}", redirects=5))
        assert [came.headers.get("authorization") for came in first.came] == [
            "Bearer s3cret",
            "Bearer s3cret",
        ]
        (came,) = other.came
        assert (came.method, came.body, came.headers["content-type"]) == ("POST", b"{}", "application/json")
        assert not {"authorization", "cookie", "x-api-key"} & came.headers.keys()


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b"{}"), (308, "POST", b"{}")],
)
async def test_which_redirects_keep_the_method(way, status, method, body):
    with Receiver(
        lambda came: Reply(status, headers={"location": "/to"}) if came.path == "/" else Reply()
    ) as receiver:
        await way().send(Outgoing(method="POST", url=receiver.url(), body=b"{}", redirects=1))
    assert (receiver.came[1].method, receiver.came[1].body) == (method, body)


async def test_an_answer_without_end_is_cut_off(way):
    with (
        Receiver(lambda _: Reply(chunks=itertools.repeat(b"x" * 4096))) as receiver,
        pytest.raises(AnswerTooLarge, match="over 10000 bytes"),
    ):
        await way().send(get(receiver.url(), max_bytes=10_000))


@pytest.mark.parametrize("value", ["a\r\nHost: evil", "a\nb", "a\0b", "日本"])
async def test_a_header_that_can_not_be_sent_is_named_without_its_value(way, value):
    with Receiver() as receiver, pytest.raises(OutboundRefused, match="the value of X-Key") as caught:
        await way().send(get(receiver.url(), headers={"X-Key": f"s3cret{value}"}))
    assert "s3cret" not in str(caught.value)
    assert receiver.came == []


async def test_a_slow_answer_is_not_waited_for_for_ever(way):
    with (
        Receiver(lambda _: Reply(body=b"x" * 1000, drip=0.05)) as receiver,
        pytest.raises(OutboundFailed, match=r"no answer within 0.2 s") as caught,
    ):
        await way().send(get(receiver.url(), timeout=0.2))
    assert caught.value.reason == "timeout"


async def test_a_cancel_closes_the_connection(way):
    with Receiver(lambda _: Reply(hang=True)) as receiver:
        task = asyncio.create_task(way().send(get(receiver.url())))
        while not receiver.came:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(receiver.gone.wait, 5)


async def test_connections_that_fail_or_break_are_told_apart(way):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(OutboundFailed, match=r"no connection to 127\.0\.0\.1") as caught:
            await way().send(get(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert caught.value.reason == "connect"
    with (
        Receiver(lambda _: Reply(broken=True)) as receiver,
        pytest.raises(OutboundFailed, match=r"the connection to 127\.0\.0\.1 broke") as caught,
    ):
        await way().send(get(receiver.url()))
    assert caught.value.reason == "broken"


async def test_tls_verifies_the_name_that_was_asked_for(way, names, tmp_path, monkeypatch):
    context, trusted = _certificate(tmp_path, "good.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    asked = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with Receiver(tls=context) as receiver:
        names({name: itertools.repeat(["127.0.0.1"]) for name in ("good.example", "evil.example")})
        assert (await way().send(get(receiver.url(host="good.example")))).status == 200
        assert asked == ["good.example"]
        with pytest.raises(OutboundFailed, match="certificate is not trusted: Hostname mismatch"):
            await way().send(get(receiver.url(host="evil.example")))
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(OutboundFailed, match="certificate is not trusted"):
            await way().send(get(receiver.url(host="good.example")))


def _certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context, certificate
