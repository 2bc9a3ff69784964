"""URLs of brokers: what `source_url` of an event trigger says, read strictly; never a credential in the clear."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote

from nightcrew.domain import secrets
from nightcrew.domain.broker.grammar import GRAMMARS, SCHEMES, BrokerKind, Grammar
from nightcrew.domain.web_address import host_of

EXTENSION: Final = "brokerurl"
"""The CloudEvents extension that names the source of an event that a broker brought: its URL without credentials."""
MAX_URL: Final = 1024

_MAX_PORT: Final = 65535
_REFERENCE: Final = re.compile(r"\$\{secret:[^}]*\}")
_USER: Final = re.compile(r"((?:\$\{secret:[^}]*\}|[^:$])*)(?::(.*))?")
_OPTION: Final = re.compile(r"[a-z_]{1,32}")
_PLAIN: Final = "*+-._~$!'(),;@"
"""What stays as it is in a path and in options, besides letters and digits; what else there is is percent-encoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    """Where messages come from.

    Attributes:
        kind: Which broker.
        tls: Whether the connection is over TLS.
        host: A name or an address.
        port: Where it serves.
        user: As it is written, references to secrets included; empty for none.
        password: A reference to a secret (`${secret:NAME}`), or empty.
        place: The parts of the path: subject; database and stream; queue, or virtual host and queue; topic.
        options: What stands behind `?`.
        public: The URL without credentials, always written the same way: the source of its events.
    """

    kind: BrokerKind
    tls: bool
    host: str
    port: int
    user: str
    password: str
    place: tuple[str, ...]
    options: Mapping[str, str]
    public: str

    @property
    def name(self) -> str:
        """A name of its own at the broker, the same after each restart: for consumers that must be durable."""
        return f"nightcrew-{sha256(self.public.encode()).hexdigest()[:12]}"


@lru_cache(maxsize=1024)
def broker_url(text: str) -> BrokerUrl:
    """The parts of a broker's URL.

    Raises:
        ValueError: Says what is wrong and what would be right, without what may be a credential.
    """
    if len(text) > MAX_URL:
        raise ValueError(f"must be at most {MAX_URL} characters, is {len(text)}")
    if any(ord(one) <= 32 or ord(one) == 127 for one in text) or "\\" in text:  # noqa: PLR2004 - the last control character
        raise ValueError("must not hold spaces, control characters or backslashes (percent-encode them)")
    scheme, separator, rest = text.partition("://")
    known = SCHEMES.get(scheme.lower()) if separator else None
    if known is None:
        forms = "; ".join(one.form for one in GRAMMARS.values())
        raise ValueError(f"must be a broker's URL, one of: {forms}")
    grammar, tls = known
    try:
        return _read(grammar, rest, tls=tls)
    except ValueError as error:
        raise ValueError(f"{error}; right is {grammar.form}") from None


def _read(grammar: Grammar, rest: str, *, tls: bool) -> BrokerUrl:
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    userinfo, _, address = authority.rpartition("@")
    user, password = _credentials(grammar, userinfo)
    host, port = _address(address, grammar.tls_port if tls else grammar.port)
    place = _place(grammar, path)
    options = _options(grammar, query)
    return BrokerUrl(
        kind=grammar.kind,
        tls=tls,
        host=host,
        port=port,
        user=user,
        password=password,
        place=place,
        options=options,
        public=_public(grammar, tls, host, port, place, options),
    )


def _credentials(grammar: Grammar, userinfo: str) -> tuple[str, str]:
    found = _USER.fullmatch(userinfo)
    if found is None:
        raise ValueError("names no right user; a secret is named as ${secret:NAME}")
    user, password = found[1], found[2] or ""
    if grammar.token and user and not password and not _REFERENCE.fullmatch(user):
        raise ValueError("holds a token in the clear; write ${secret:NAME} in its place")
    if password and not _REFERENCE.fullmatch(password):
        raise ValueError("holds a password in the clear; write ${secret:NAME} in its place")
    if why := secrets.flaw(user + password):
        raise ValueError(why)
    return (user if secrets.refers(user) else unquote(user)), password


def _address(text: str, default: int) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, str(default)
    # Neither is told: in a URL that is badly written, a password may stand in their places.
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _MAX_PORT):
        raise ValueError(f"has no right port: it is a number of 1 to {_MAX_PORT}")
    try:
        return host_of(host.removeprefix("[").removesuffix("]").lower()), int(port)
    except ValueError:
        raise ValueError("names no right host: it is a name in ASCII or an address") from None


def _place(grammar: Grammar, path: str) -> tuple[str, ...]:
    parts = (unquote(path),) if grammar.whole_path else tuple(map(unquote, path.split("/")))
    if why := grammar.place(parts):
        raise ValueError(f"the path {why}")
    return parts


def _options(grammar: Grammar, query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        check = grammar.options.get(name)
        if check is None:
            shown = repr(name) if _OPTION.fullmatch(name) else "one of the options"
            raise ValueError(f"{shown} is no option; there are {', '.join(grammar.options)}")
        if name in options:
            raise ValueError(f"the option {name} is given twice")
        options[name] = unquote(value)
        if why := check(options[name]):
            raise ValueError(f"the option {name} {why}")
    return options


def _public(
    grammar: Grammar,
    tls: bool,  # noqa: FBT001 - a part of the URL like the others
    host: str,
    port: int,
    place: tuple[str, ...],
    options: Mapping[str, str],
) -> str:
    scheme, default = (grammar.tls, grammar.tls_port) if tls else (grammar.kind.value, grammar.port)
    where = f"[{host}]" if ":" in host else host
    if port != default:
        where += f":{port}"
    path = "/".join(quote(part, safe=_PLAIN + "/" * grammar.whole_path) for part in place)
    query = "&".join(f"{name}={quote(options[name], safe=_PLAIN)}" for name in sorted(options))
    return f"{scheme}://{where}/{path}" + (f"?{query}" if query else "")
