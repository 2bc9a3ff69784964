"""What keeps web pages out: a browser on this machine must not be made to speak for its user.

The loopback default has no login, so whoever reaches the port may stop agents; a browser reaches it for any page.
Source: semantics.md, What may run, and who may ask; OWASP's cheat sheets on CSRF and DNS rebinding.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

Header = tuple[bytes, bytes]

SECURITY_HEADERS: Final[Sequence[Header]] = (
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""On every answer; one that says something else itself keeps that."""

_ANY_BODY: Final = ("/hooks/", "/events")
"""Paths whose senders choose the content type, and prove themselves otherwise or say it as CloudEvents do."""
PROVEN: Final = "/signals/"
"""Whoever knows such a path may use it, from a mail or a chat as from a page: its token is the proof."""
_TYPES: Final = (
    "application/json",
    "application/proto",
    "application/protobuf",
    "application/x-protobuf",
    "application/grpc-web",
    "application/connect+",
)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a request is answered with instead of being served."""

    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Ours:
    """Which names of this server are right.

    Attributes:
        hosts: Host names besides loopback's, without a port.
        origins: Origins besides the server's own, such as `https://crew.example.org`.
    """

    hosts: Collection[str] = ()
    origins: Collection[str] = ()


def refusal(method: str, path: str, headers: Iterable[Header], ours: Ours) -> Refusal | None:
    """Why a request is not served, or None: decided from its head alone, before it is routed."""
    found = _Head.of(headers)
    if found.hosts != 1:
        return Refusal(400, f"one Host header is right, not {found.hosts}")
    if path.startswith(PROVEN):
        return None
    if not path.startswith("/hooks/") and not _is_ours(found.host, ours.hosts):
        return Refusal(
            403,
            f"the host {found.host[:100]!r} is not this server's; call it by a loopback name, or add the host to"
            " `hosts` in nightcrew.toml",
        )
    if found.site == "cross-site":
        return Refusal(403, "a page of another site made this call (Sec-Fetch-Site: cross-site)")
    if found.origin and not _is_own_origin(found, ours.origins):
        return Refusal(
            403,
            f"a page of {found.origin[:100]!r} made this call; add it to `origins` in nightcrew.toml if it may",
        )
    if method not in _SAFE and not path.startswith(_ANY_BODY) and (found.has_body or found.content_type):
        kind = found.content_type.partition(";")[0].strip().lower()
        if not kind.startswith(_TYPES) and not kind.endswith("+json"):
            said = f"not {kind[:100]!r}" if kind else "and none was said"
            return Refusal(415, f"the content type must be application/json or a protobuf one, {said}")
    return None


@dataclass(slots=True)
class _Head:
    host: str = ""
    hosts: int = 0
    origin: str = ""
    site: str = ""
    content_type: str = ""
    has_body: bool = False

    @classmethod
    def of(cls, headers: Iterable[Header]) -> "_Head":
        found = cls()
        for name, value in headers:
            match name:
                case b"host":
                    found.hosts += 1
                    found.host = value.decode("latin-1").lower()
                case b"origin":
                    found.origin = value.decode("latin-1").lower()
                case b"sec-fetch-site":
                    found.site = value.decode("latin-1").lower()
                case b"content-type":
                    found.content_type = value.decode("latin-1")
                case b"content-length":
                    found.has_body = found.has_body or value.strip() != b"0"
                case b"transfer-encoding":
                    found.has_body = True
                case _:
                    pass
        return found


def _is_ours(host: str, more: Collection[str]) -> bool:
    name = _without_port(host)
    if name == "localhost" or name in more:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_own_origin(found: _Head, more: Collection[str]) -> bool:
    return found.origin in more or found.origin in {f"http://{found.host}", f"https://{found.host}"}
