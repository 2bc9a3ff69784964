"""Names resolved once, every address judged: what may be connected to is an address, never a name."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import psutil

from nightcrew.domain.addresses import Address, Allowed, Own, literal, refusal
from nightcrew.ports.outbound import CONNECT, OutboundFailed, OutboundRefused

RESOLVE_TIMEOUT: Final = 10.0


class Addresses:
    """Where a host and a port lead, if the runtime may connect there.

    Whoever connects by itself (a broker's client, say) asks `checked(host, port)` first, and connects to one of the
    addresses that it gives, so that a name can't lead elsewhere the second time:

        host, *_ = await addresses.checked("nats.example.com", 4222)

    Args:
        allowed: What is allowed besides public addresses.
        own_ports: The ports that the runtime serves on, as they are now.
    """

    def __init__(self, allowed: Allowed, *, own_ports: Callable[[], frozenset[int]] = frozenset) -> None:
        self._allowed = allowed
        self._own_ports = own_ports

    async def checked(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, as text, in the resolver's order; at least one.

        Raises:
            OutboundRefused: It has none that is allowed; says why.
            OutboundFailed: The name can't be resolved.
        """
        found = await self._resolved(host, port)
        own = self._own(port)
        good: list[str] = []
        why = ""
        for address in found:
            refused = refusal(address, port, host=host, allowed=self._allowed, own=own)
            if refused:
                why = why or f"{_called(host, address)} {refused}"
            else:
                good.append(str(address))
        if not good:
            raise OutboundRefused(f"no connection to {host}, port {port}: {why}", metadata={"host": host})
        return good

    async def _resolved(self, host: str, port: int) -> list[Address]:
        try:
            known = literal(host)
        except ValueError as error:
            raise OutboundRefused(str(error)) from None
        if known is not None:
            return [known]
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
        except TimeoutError:
            raise OutboundFailed(f"the name {host!r} was not resolved in time", reason=CONNECT) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise OutboundFailed(f"the name {host!r} can't be resolved: {why}", reason=CONNECT) from error
        except UnicodeError:
            raise OutboundRefused(f"{host[:80]!r} is no name of a host") from None
        return list(dict.fromkeys(ip_address(str(where[0]).partition("%")[0]) for *_, where in found))

    def _own(self, port: int) -> Own:
        ports = self._own_ports()
        if port not in ports:
            return Own()
        here = {
            ip_address(one.address.partition("%")[0])
            for interface in psutil.net_if_addrs().values()
            for one in interface
            if one.family in {socket.AF_INET, socket.AF_INET6}
        }
        return Own(ports=ports, addresses=frozenset(here))


def _called(host: str, address: Address) -> str:
    return str(address) if host == str(address) else f"{host} ({address})"
