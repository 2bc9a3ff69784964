"""Which addresses may be connected to, over every range and every way to write an address."""

# ruff: noqa: S104 - 0.0.0.0 is a case here, nothing is bound to it

from ipaddress import ip_address

import pytest

from nightcrew.domain.addresses import Allowed, Own, embedded, is_name, literal, refusal

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "11.0.0.0",
          "2606:4700:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808", "::ffff:8.8.8.8", "2002:808:808::1"]  # fmt: skip
PRIVATE = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
           "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.7",
           "203.0.113.9", "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "2001:db8::1", "100::1", "4000::1",
           "64:ff9b:1::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
           "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::f7f7:f7f7", "::7f00:1"]  # fmt: skip
NEVER = [
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "ff0e::1",
    "::ffff:224.0.0.1",
    "::ffff:255.255.255.255",
]
NOTHING = Allowed()
NOBODY = Own()


def _refused(address, port=443, *, host="", allowed=NOTHING, own=NOBODY):
    return refusal(ip_address(address), port, host=host or address, allowed=allowed, own=own)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address):
    assert _refused(address) == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_allowed(address):
    assert "allow_private can allow it" in _refused(address)
    assert _refused(address, allowed=Allowed(private=True)) == ""
    assert _refused(address, host="intern.example", allowed=Allowed.of(["intern.example"])) == ""
    assert _refused(address, host="Intern.Example.", allowed=Allowed.of([" Intern.example "])) == ""
    assert _refused(address, host="other.example", allowed=Allowed.of(["intern.example"])) != ""
    assert _refused(address, allowed=Allowed.of([address])) == ""


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allowed", [NOTHING, Allowed(private=True), Allowed.of(["0.0.0.0/0", "::/0", "h"])])
def test_what_is_no_peer_is_never_open(address, allowed):
    assert _refused(address, host="h", allowed=allowed) != ""


def test_a_network_allows_its_own_addresses_and_those_that_embed_them():
    allowed = Allowed.of(["10.1.0.0/16", "fd00::/8"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd12::1"):
        assert _refused(address, allowed=allowed) == "", address
    for address in ("10.2.0.1", "::ffff:10.2.0.1", "127.0.0.1", "fe80::1"):
        assert _refused(address, allowed=allowed) != "", address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "192.168.7.7",
        "::ffff:192.168.7.7",
    ],
)
def test_the_runtimes_own_ports_are_refused_whatever_is_allowed(address):
    own = Own(ports=frozenset({7447, 7448}), addresses=frozenset({ip_address("192.168.7.7")}))
    for allowed in (NOTHING, Allowed(private=True), Allowed.of([address, "h"])):
        assert (
            _refused(address, 7447, host="h", allowed=allowed, own=own) == "is one of the runtime's own ports"
        )
    assert _refused(address, 7449, allowed=Allowed(private=True), own=own) == ""
    assert _refused("10.0.0.1", 7447, allowed=Allowed(private=True), own=own) == ""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"), ("127.0.0.1.", "127.0.0.1"), ("127.1", "127.0.0.1"), ("127.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"), ("0x7f000001", "127.0.0.1"), ("0x7F.1", "127.0.0.1"), ("0177.0.0.01", "127.0.0.1"),
        ("017700000001", "127.0.0.1"), ("0", "0.0.0.0"), ("0x", "0.0.0.0"), ("0xa9fea9fe", "169.254.169.254"),
        ("169.254.43518", "169.254.169.254"), ("4294967295", "255.255.255.255"), ("1.2.3.4", "1.2.3.4"),
        ("[::1]", "::1"), ("::1", "::1"), ("[fe80::1%eth0]", "fe80::1"), ("::ffff:7f00:1", "::ffff:127.0.0.1"),
    ],
)  # fmt: skip
def test_every_form_of_an_address_is_read(text, address):
    assert literal(text) == ip_address(address)


@pytest.mark.parametrize(
    "text", ["example.com", "localhost", "a.b.c1", "1a", "xn--bcher-kva.example", "deadbeef", "0xg.com"]
)
def test_names_are_no_addresses(text):
    assert literal(text) is None
    assert is_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "256.1.1.1",
        "1.2.3.256",
        "1.2.65536",
        "4294967296",
        "0x100000000",
        "1.2.3.4.5",
        "a.b.08",
        "a.1",
        "\uff11\uff12\uff17.0.0.1",
        "1..1",
        "::zz",
        "1:2",
    ],
)
def test_what_ends_in_a_number_is_an_address_or_nothing(text):
    with pytest.raises(ValueError, match=r"."):
        literal(text)
    assert not is_name(text)


def test_embedded_addresses():
    assert embedded(ip_address("2001:0:102:304::fefd:fcfb")) == (ip_address("1.2.3.4"), ip_address("1.2.3.4"))
    assert embedded(ip_address("::ffff:1.2.3.4")) == (ip_address("1.2.3.4"),)
    assert embedded(ip_address("2002:102:304::")) == (ip_address("1.2.3.4"),)
    assert embedded(ip_address("64:ff9b::102:304")) == (ip_address("1.2.3.4"),)
    assert embedded(ip_address("::102:304")) == (ip_address("1.2.3.4"),)
    assert embedded(ip_address("::1")) == embedded(ip_address("::")) == embedded(ip_address("1.2.3.4")) == ()


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/33", "10.0.0.1/8", "not a name", "", "a..b", "http://h", "h:80", "*.example"]
)
def test_what_is_neither_name_nor_network_is_named(entry):
    with pytest.raises(ValueError, match="is no name, address or network"):
        Allowed.of([entry])
