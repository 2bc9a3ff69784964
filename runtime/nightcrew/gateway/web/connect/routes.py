"""`POST /nightcrew.v1.*/*`: every RPC of the contract over Connect and gRPC-Web."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectrpc.server import ConnectASGIApplication
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from nightcrew.gateway.grpc.methods import Rpc, Service, Stream
from nightcrew.gateway.status import Faults
from nightcrew.gateway.web.body import read_body
from nightcrew.gateway.web.connect.endpoints import CODECS, endpoint

PATH: Final = "/nightcrew.v1.{service}/{rpc}"
MAX_BODY: Final = 8 * 1024 * 1024
"""As over gRPC: 1 MiB of JSON is up to 6 MiB as a Struct."""

_GRPC_WEB: Final = ("application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json")
_ONE: Final = ("application/json", "application/proto", *_GRPC_WEB)
_MANY: Final = ("application/connect+json", "application/connect+proto", *_GRPC_WEB)
_READ: Final = frozenset(
    {
        b"connect-content-encoding",
        b"connect-protocol-version",
        b"connect-timeout-ms",
        b"content-encoding",
        b"grpc-encoding",
        b"grpc-timeout",
    }
)
"""What connectrpc is to see of a request's headers: it takes them all for UTF-8, which they need not be."""


def routes(services: Iterable[Service], faults: Faults) -> list[Route]:
    """The one route of all RPCs."""
    return [
        Route(PATH, _Rpcs([rpc for service in services for rpc in service.rpcs], faults), methods=["POST"])
    ]


class _Rpcs:
    """Looks an RPC up, reads the request whole and hands it to connectrpc."""

    def __init__(self, rpcs: Iterable[Rpc], faults: Faults) -> None:
        self._kinds = {f"/{rpc.path}": _MANY if isinstance(rpc.method, Stream) else _ONE for rpc in rpcs}
        self._served = _Application({f"/{rpc.path}": endpoint(rpc, faults) for rpc in rpcs})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        kinds = self._kinds.get(scope["path"])
        if kinds is None:
            raise HTTPException(404, f"there is no RPC {scope['path'][1:]!r}")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in kinds:
            raise HTTPException(
                415,
                f"the content type must be one of {', '.join(kinds)}, not {kind!r}",
                {"Accept-Post": ", ".join(kinds)},
            )
        body = await read_body(request, MAX_BODY)
        headers = [(name, value) for name, value in scope["headers"] if name in _READ and value.isascii()]
        headers.append((b"content-type", kind.encode()))
        await self._served({**scope, "headers": headers}, _replayed(body, receive), send)


class _Application(ConnectASGIApplication[None]):
    """connectrpc's application, with endpoints that are made rather than generated.

    Requests may be compressed. Answers are not, as it is not shown what callers accept: they stay on this machine,
    and compressing a large one would hold the loop up.
    """

    path = "/"

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        super().__init__(
            service=None,
            endpoints=lambda _service: endpoints,
            read_max_bytes=MAX_BODY,
            codecs=CODECS,
        )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then what comes after it: that the client has gone."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return left.pop() if left else await receive()

    return replayed
