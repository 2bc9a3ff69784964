"""URLs of what the runtime calls: read once, by one parser, so that what is checked is what is connected to."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from nightcrew.domain.addresses import is_name, literal

_PORTS: Final = {"http": 80, "https": 443}
_SAFE: Final = "%/:=&?~+!$,;'@()*[]{}|^"
"""What stays as it is written in a path and a query; the rest is percent-encoded."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An http or https URL in its parts; `target` is the path with its query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials belong to."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The URL."""
        return f"{self.scheme}://{self.authority}{self.target}"


def web_address(url: str) -> WebAddress:
    """The parts of a URL; ValueError says what is wrong with it."""
    if any(ord(one) <= 32 or ord(one) == 127 for one in url) or "\\" in url:  # noqa: PLR2004 - the last control character
        raise ValueError("must not hold spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and password: credentials belong in headers, as ${secret:NAME}")
    if port == 0:
        raise ValueError("has the port 0, which nobody serves on")
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)
    return WebAddress(scheme, host_of(parts.hostname or ""), port or _PORTS[scheme], target)


def redirected(base: WebAddress, location: str) -> WebAddress:
    """Where a redirect leads; ValueError if it is nowhere to go."""
    following = web_address(urljoin(str(base), location))
    if base.scheme == "https" and following.scheme == "http":
        raise ValueError("leads from https to http")
    return following


def host_of(host: str) -> str:
    """A host as it is written in a URL; ValueError says why it is none."""
    if not host:
        raise ValueError("names no host")
    if not host.isascii():
        raise ValueError("must name its host in ASCII (xn--… for international names)")
    if literal(host) is None and not is_name(host):
        raise ValueError(f"names no host: {host[:80]!r}")
    return host
