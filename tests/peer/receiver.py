"""A real HTTP receiver on a real port, for what goes out: it keeps what came and answers as it is told to."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class Came:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Reply:
    """How to answer. `hang` never does, `broken` closes the connection, `drip` sends the body a byte at a time."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    broken: bool = False
    drip: float = 0.0
    chunks: Iterator[bytes] | None = None


def json_reply(value, status=200, **headers) -> Reply:
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json", **headers})


class Receiver:
    """Serves while it is entered; `answer` decides, from any thread, how each request is answered."""

    def __init__(
        self,
        answer: Callable[[Came], Reply] | None = None,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ):
        self.answer = answer or (lambda _: Reply())
        self.came: list[Came] = []
        self.gone = threading.Event()
        """Set when a peer closed the connection under a request that hangs."""
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang(self, connection: socket.socket) -> None:
        connection.settimeout(0.02)
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    self.gone.set()
                    return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that went away, or does not trust our certificate, is a case of the test."""


def _handler(receiver: Receiver):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def _take(self):
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came = Came(self.command, self.path, headers, self.rfile.read(length))
            reply = receiver.answer(came)
            receiver.came.append(came)
            if reply.hang:
                receiver.hang(self.connection)
                self.close_connection = True
            elif reply.broken:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                self._send(reply)

        def _send(self, reply: Reply):
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.chunks is not None:
                self.send_header("connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for chunk in reply.chunks:
                        self.wfile.write(chunk)
                self.close_connection = True
                return
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if not reply.drip:
                self.wfile.write(reply.body)
                return
            with contextlib.suppress(OSError):
                for index in range(len(reply.body)):
                    self.wfile.write(reply.body[index : index + 1])
                    if receiver._over.wait(reply.drip):
                        return

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815 - http.server's names

        def log_message(self, *_):
            """Says nothing."""

    return Handler
