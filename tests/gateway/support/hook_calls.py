"""Calls of hooks: signed as their providers sign them, over httpx or written byte by byte."""
# ruff: noqa: S107 - the secrets of a test are its data

import asyncio
import contextlib
import hmac

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from nightcrew.crew.bus import Signal
from nightcrew.domain.errors import NightcrewError, ResourceExhausted, Unavailable
from nightcrew.gateway.status import http_status
from nightcrew.gateway.web.hooks import routes


def signed(body: bytes, secret="s", **headers):
    """A GitHub request's headers."""
    named = {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}
    return named | {name.replace("_", "-"): value for name, value in headers.items()}


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


@contextlib.asynccontextmanager
async def served(box):
    """The box's hooks over HTTP."""

    def refused(_request, error):
        late = isinstance(error, ResourceExhausted | Unavailable)
        return JSONResponse(
            {"detail": str(error)}, http_status(error), {"Retry-After": "1"} if late else None
        )

    def http(_request, error):
        return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)

    box.closing = Signal()
    app = Starlette(
        routes=routes(box.runtime.services, closing=box.closing),
        exception_handlers={NightcrewError: refused, HTTPException: http},
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    sockets = [one for served in server.servers for one in served.sockets]
    box.port = sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{box.port}", trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        await task


async def raw(port, text: bytes, *, then=b"", close=False):
    """The status of an answer to bytes as they stand; `close` ends our side after them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        if then:
            await writer.drain()
            writer.write(then)
        if close:
            writer.write_eof()
        line = await asyncio.wait_for(reader.readline(), 10)
        return int(line.split()[1]) if line else None
    except (OSError, ConnectionError):
        return None
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
