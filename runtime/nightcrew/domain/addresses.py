"""Which addresses the runtime may connect to: one pure decision for HTTP programs, outbound hooks and brokers.

A name is resolved once; every address it has is judged here, and the connection goes to one that was judged
(system/outbound does both). Ranges: IANA's special-purpose registries for IPv4 and IPv6.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PRIVATE: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(range_), what)
    for range_, what in (
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a shared network"),
        ("127.0.0.0/8", "this machine (loopback)"),
        ("169.254.0.0/16", "link-local: a cloud's metadata service is there"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "set aside for protocols"),
        ("192.0.2.0/24", "set aside for documentation"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "set aside for benchmarks"),
        ("198.51.100.0/24", "set aside for documentation"),
        ("203.0.113.0/24", "set aside for documentation"),
        ("::/128", "this machine"),
        ("::1/128", "this machine (loopback)"),
        ("64:ff9b:1::/48", "a private network"),
        ("100::/64", "a black hole"),
        ("2001::/23", "set aside for protocols"),
        ("2001:db8::/32", "set aside for documentation"),
        ("3fff::/20", "set aside for documentation"),
        ("5f00::/16", "set aside for segment routing"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "a private network"),
    )
)
"""Refused unless allowed."""

_NEVER: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(range_), what)
    for range_, what in (
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, or broadcast"),
        ("ff00::/8", "multicast"),
    )
)

_GLOBAL_V6: Final = ip_network("2000::/3")
_COMPATIBLE: Final = ip_network("::/96")
_NAT64: Final = ip_network("64:ff9b::/96")
_PARTS_V4: Final = 4
_V4_BITS: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be reached besides public addresses.

    Attributes:
        private: Every private range, this machine included.
        hosts: Names whose private addresses are allowed, as they are written, in lower case.
        networks: Networks that are allowed.
    """

    private: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Allowed":
        """From names, addresses and networks as people write them; ValueError names one that is none of these."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            text = entry.strip().lower()
            try:
                networks.append(ip_network(text))
            except ValueError as error:
                if not is_name(text):
                    raise ValueError(
                        f"{entry!r} is no name, address or network such as 10.0.0.0/8: {error}"
                    ) from None
                hosts.add(text)
        return cls(hosts=frozenset(hosts), networks=tuple(networks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Where the runtime itself serves: its ports on this machine's addresses are refused whatever is allowed."""

    ports: frozenset[int] = frozenset()
    addresses: frozenset[Address] = field(default_factory=frozenset)


def refusal(address: Address, port: int, *, host: str, allowed: Allowed, own: Own) -> str:
    """Why no connection may go to an address; an empty string if one may.

    Args:
        address: One that `host` has.
        port: The port of the connection.
        host: As it is written: a name, or an address in any form.
        allowed: What is allowed besides public addresses.
        own: Where the runtime itself serves.
    """
    every = (address, *embedded(address))
    if port in own.ports and any(_is_here(one, own.addresses) for one in every):
        return "is one of the runtime's own ports"
    for one in every:
        if what := _within(one, _NEVER):
            return f"is {what}"
    open_ = allowed.private or host.lower().rstrip(".") in allowed.hosts
    for one in every:
        if not open_ and not _in_networks(every, allowed.networks) and (what := _private(one)):
            return f"is {what}; allow_private can allow it"
    return ""


def literal(host: str) -> Address | None:
    """The address that a host is, in any form that resolvers take; None if it is a name.

    IPv4 is read as browsers and inet_aton do (WHATWG URL, IPv4 parser): `2130706433`, `0x7f.1` and `0177.0.0.1` are
    all 127.0.0.1.

    Raises:
        ValueError: It ends in a number, as no name does, but is no address.
    """
    text = host.strip("[]").partition("%")[0]
    try:
        return ip_address(text)
    except ValueError:
        if ":" in text:
            raise
    parts = text.removesuffix(".").split(".")
    if _number(parts[-1]) is None:
        return None
    numbers = [_number(part) for part in parts]
    if len(numbers) > _PARTS_V4:
        raise ValueError(f"{host!r} is no IPv4 address: it has more than four parts")
    value = 0
    for index, number in enumerate(numbers):
        last = index == len(numbers) - 1
        if number is None or (not last and number > 255) or (last and number >= 256 ** (5 - len(numbers))):  # noqa: PLR2004 - a byte
            raise ValueError(f"{host!r} is no IPv4 address")
        value += number if last else number << (8 * (3 - index))
    return IPv4Address(value)


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a connection to an IPv6 address may end at: mapped, compatible, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    whole = int(address)
    if address in _NAT64 or (address in _COMPATIBLE and whole > 1):
        return (IPv4Address(whole % _V4_BITS),)
    return ()


def is_name(text: str) -> bool:
    """Whether a text is a host's name: labels of letters, digits, `-` and `_`, the last one no number."""
    labels = text.removesuffix(".").split(".")
    fits = all(0 < len(one) < 64 and one.replace("-", "").replace("_", "").isalnum() for one in labels)  # noqa: PLR2004 - a label's length
    return fits and text.isascii() and _number(labels[-1]) is None


def _private(address: Address) -> str:
    if what := _within(address, _PRIVATE):
        return what
    if isinstance(address, IPv6Address) and not embedded(address) and address not in _GLOBAL_V6:
        return "no public address"
    return ""


def _within(address: Address, ranges: Collection[tuple[Network, str]]) -> str:
    return next((what for network, what in ranges if address in network), "")


def _in_networks(addresses: Iterable[Address], networks: Collection[Network]) -> bool:
    return any(address in network for address in addresses for network in networks)


def _is_here(address: Address, addresses: Collection[Address]) -> bool:
    return address.is_loopback or address.is_unspecified or address in addresses


def _number(part: str) -> int | None:
    """A part of an IPv4 address: decimal, octal with a leading 0, hexadecimal with 0x; None if it is no number."""
    text = part.lower()
    base, digits = 10, text
    if text.startswith("0x"):
        base, digits = 16, text[2:] or "0"
    elif len(text) > 1 and text.startswith("0"):
        base, digits = 8, text[1:]
    if not digits.isascii() or not digits.isalnum():
        return None
    try:
        return int(digits, base)
    except ValueError:
        # `08` and the like are no octal, but names do not look so either: more than any part may be.
        return _V4_BITS if text.isdigit() else None
