"""HOST:PORT to serve on: read, tried, and a clear error when it is taken."""

import socket
from dataclasses import dataclass
from typing import Final

from nightcrew.domain.errors import InvalidArgument, NightcrewError

_HIGHEST: Final = 65535


class AddressUnavailable(NightcrewError):  # noqa: N818 - it names what happened
    """Nothing can be served on the address; the message says why and what would help."""

    code = "address_unavailable"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 is any free one. `protocol` is what is to be served there."""

    host: str
    port: int
    protocol: str = "gRPC"

    @classmethod
    def parse(cls, text: str, *, protocol: str = "gRPC") -> "Address":
        """The address of a text such as `127.0.0.1:7447` or `[::1]:7447`.

        Raises:
            InvalidArgument: It is none.
        """
        host, _, port = text.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or int(port) > _HIGHEST:
            raise InvalidArgument.of(
                protocol.lower(), f"must be HOST:PORT such as 127.0.0.1:7447, not {text!r}"
            )
        return cls(host.removeprefix("[").removesuffix("]"), int(port), protocol)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def check(self) -> None:
        """Whether a server may listen here now: gRPC itself would only say that it failed, and uvicorn exit.

        Raises:
            AddressUnavailable: Something else has the port, or the host is not of this machine.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise self.unavailable(f"the host is not known ({error.strerror})") from error
        for family, kind, protocol, _, target in found:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    tried.bind(target)
                except OSError as error:
                    raise self.unavailable(self._why(error)) from error

    def unavailable(self, why: str) -> AddressUnavailable:
        """The error that names the address."""
        return AddressUnavailable(
            f"can't serve {self.protocol} on {self}: {why}",
            metadata={"address": str(self), "port": str(self.port)},
        )

    def _why(self, error: OSError) -> str:
        text = (error.strerror or str(error)).lower()
        if "in use" in text:
            flag = f"--{self.protocol.lower()} HOST:PORT"
            return f"the port is in use by another process; stop that, or choose another with {flag}"
        return text
