"""One HTTP connection: uvicorn's own, with bounds on heads that are large, slow or too many."""

import asyncio
import json
from asyncio import TimerHandle
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request's line and headers."""
MAX_URL: Final = 16 * 1024
MAX_HEADERS: Final = 128
HEAD_TIME: Final = 10.0
"""Seconds that a head may take to come, from the connection's first byte or the one after the last request's."""
MAX_CONNECTIONS: Final = 4096


class Connection(HttpToolsProtocol):
    """Refuses what only costs: the answer says why, and the connection is closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head = 0
        self._why = (400, "this is no HTTP request")
        self._patience: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, f"{MAX_CONNECTIONS} connections are open, which is all there may be")
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; a head that grows past its bound is refused before it is whole."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
            if self._patience is None:
                self._wait_for_head()
        super().data_received(data)
        if self._in_head and self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse(431, f"a request's line and headers may be at most {MAX_HEAD} bytes")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """A part of the request's line."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._why = (414, f"a URL may be at most {MAX_URL} bytes")
            raise httptools.HttpParserInvalidURLError(self._why[1])

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._why = (431, f"a request may have at most {MAX_HEADERS} headers")
            raise httptools.HttpParserError(self._why[1])

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head, self._head = False, 0
        self._stop_waiting()
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._why = (431, f"a request's headers may be at most {MAX_HEAD} bytes")
            raise httptools.HttpParserError(self._why[1])
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; the next may follow."""
        super().on_message_complete()
        self._in_head = True

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request, or one that was refused in the middle."""
        del msg
        self._refuse(*self._why)

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(HEAD_TIME, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _too_slow(self) -> None:
        self._patience = None
        if self._in_head and not self.transport.is_closing():
            self._refuse(408, f"the request's head has not come within {HEAD_TIME:.0f} s")

    def _refuse(self, status: int, detail: str) -> None:
        earlier: Any = self.cycle  # uvicorn's type says that there is always one
        if earlier is not None and not earlier.response_complete:
            self.transport.close()  # an answer to an earlier request is under way: nothing may come between
            return
        body = json.dumps({"detail": detail}).encode()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\n"
            + (b"retry-after: 1\r\n" if status == 503 else b"")  # noqa: PLR2004 - HTTP's number
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()
