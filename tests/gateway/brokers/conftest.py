"""A runtime that may reach this machine's brokers, and senders to them."""

import asyncio
import contextlib

import pytest
from tests.gateway.support.gateway_box import serving
from tests.gateway.support.real_brokers import PORTS, Sender, need

pytestmark = pytest.mark.brokers


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", "127.0.0.1")
    monkeypatch.setenv("NIGHTCREW_SECRET_RABBIT", "guest")


@pytest.fixture
async def box(tmp_path, allowed):
    async with serving(tmp_path / "data") as box:
        yield box


@pytest.fixture(params=list(PORTS))
async def sender(request):
    need(request.param)
    async with Sender(request.param).opened() as sender:
        yield sender


class Proxy:
    """A broker that can go away and come back, without touching the one that others use."""

    def __init__(self, target):
        self._target = target
        self._server = None
        self._open = set()
        self.port = 0

    @property
    def connections(self):
        return len(self._open) // 2

    async def up(self):
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self):
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, back}
        with contextlib.suppress(OSError):
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, back))
                group.create_task(_copy(there, writer))
        self._open -= {writer, back}


async def _copy(source, target):
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@pytest.fixture(params=list(PORTS))
async def away(request):
    """A sender to a broker that the runtime reaches through a proxy, and the proxy."""
    need(request.param)
    proxy = Proxy(PORTS[request.param])
    await proxy.up()
    async with Sender(request.param, proxy.port).opened() as sender:
        yield sender, proxy
    await proxy.down()
