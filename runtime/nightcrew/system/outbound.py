"""The one way out: HTTP to addresses that were checked, within bounds of time and size, redirects checked again."""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore

from nightcrew.domain.spec.program import check_headers
from nightcrew.domain.web_address import WebAddress, redirected, web_address
from nightcrew.ports.outbound import (
    BROKEN,
    CONNECT,
    TIMEOUT,
    Answer,
    AnswerTooLarge,
    OutboundFailed,
    OutboundRefused,
    Outgoing,
)
from nightcrew.system.addresses import Addresses

CONNECT_TIMEOUT: Final = 10.0
KEPT_ALIVE: Final = 5.0
"""Seconds that an idle connection is kept: shorter than most servers do, so that few are closed under a request."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BECOME_GET: Final = frozenset({301, 302, 303})
_EVERYWHERE: Final = frozenset({"accept", "accept-encoding", "content-type", "user-agent"})
"""Headers that are sent to another origin, too; the others may be credentials."""


class HttpWayOut:
    """Implements ports.outbound.WayOut.

    It goes straight to the address: no proxy, no cookies, no variables of the environment but those of OpenSSL for
    trusted certificates (SSL_CERT_FILE, SSL_CERT_DIR). Answers are asked for uncompressed, so that their bound holds.
    """

    def __init__(self, addresses: Addresses) -> None:
        self._backend = _CheckedBackend(addresses)
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, request: Outgoing) -> Answer:
        """Sends one request (ports.outbound.WayOut)."""
        try:
            async with asyncio.timeout(request.timeout):
                return await self._follow(request)
        except TimeoutError:
            raise OutboundFailed(f"no answer within {request.timeout:g} s", reason=TIMEOUT) from None

    async def close(self) -> None:
        """Closes the connections that are kept."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _follow(self, request: Outgoing) -> Answer:
        where = _checked(request.url)
        try:
            check_headers(request.headers)  # a secret that is in one by now may hold anything
        except ValueError as error:
            raise OutboundRefused(f"a header can't be sent: {error}") from None
        method, body = request.method, request.body
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.setdefault("accept-encoding", "identity")
        left = request.redirects
        while True:
            answer = await self._once(where, method, headers, body, request.max_bytes)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None or not request.redirects:
                return answer
            if not left:
                raise OutboundRefused(
                    f"more than {request.redirects} redirects, the last one from {where.host}"
                )
            left -= 1
            try:
                following = redirected(where, location)
            except ValueError as error:
                raise OutboundRefused(f"a redirect from {where.host} {error}") from None
            if answer.status in _BECOME_GET and method != "GET":
                method, body = "GET", None
                headers.pop("content-type", None)
            if following.origin != where.origin:
                headers = {name: value for name, value in headers.items() if name in _EVERYWHERE}
            where = following

    async def _once(
        self, where: WebAddress, method: str, headers: dict[str, str], body: bytes | None, max_bytes: int
    ) -> Answer:
        given = {"host": where.authority, **headers}
        if body is not None:
            given["content-length"] = str(len(body))
        url = httpcore.URL(scheme=where.scheme, host=where.host, port=where.port, target=where.target)
        timeouts = {"connect": CONNECT_TIMEOUT}
        try:
            async with self._opened().stream(
                method,
                url,
                headers=[(name.encode(), value.encode("latin-1")) for name, value in given.items()],
                content=body,
                extensions={"timeout": timeouts},
            ) as response:
                return Answer(
                    status=response.status,
                    headers=_headers(response.headers),
                    body=await _body(response, where, max_bytes),
                )
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise OutboundFailed(f"no connection to {where.host}: {_said(error)}", reason=CONNECT) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise OutboundFailed(
                f"the connection to {where.host} broke: {_said(error)}", reason=BROKEN
            ) from error

    def _opened(self) -> httpcore.AsyncConnectionPool:
        # Made when it is first needed: reading the trusted certificates takes 20 ms.
        if self._pool is None:
            context = httpcore.default_ssl_context()
            context.load_default_certs()
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                network_backend=self._backend,
                max_connections=None,
                keepalive_expiry=KEPT_ALIVE,
            )
        return self._pool


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only; TLS, above it, still verifies the name that was asked for."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolves, checks, and connects to the first of the addresses that takes the connection."""
        failed: Exception | None = None
        for address in await self._addresses.checked(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError("it has no address")

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._inner.sleep(seconds)


def _checked(url: str) -> WebAddress:
    try:
        return web_address(url)
    except ValueError as error:
        raise OutboundRefused(f"the URL {error}") from None


async def _body(response: httpcore.Response, where: WebAddress, max_bytes: int) -> bytes:
    held = bytearray()
    async for chunk in response.aiter_stream():
        held += chunk
        if len(held) > max_bytes:
            raise AnswerTooLarge(f"the answer of {where.host} ({response.status}) is over {max_bytes} bytes")
    return bytes(held)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def _said(error: Exception) -> str:
    """What went wrong, from the cause that says most: the wrappers often say nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
