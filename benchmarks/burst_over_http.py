"""A burst of webhooks over HTTP: the runtime in its own process, this one the senders, on bare connections."""

import asyncio
import re
import socket
import time
from pathlib import Path

import uvloop
from benchmarks.burst_in_process import AGENTS, agents, signed
from benchmarks.crew import check_all_succeeded, cpu_of, in_its_own_process, report, rss_of

from nightcrew.client import Client

FLIGHT = 64
_LENGTH = re.compile(rb"content-length: (\d+)")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def request(i: int) -> bytes:
    body, headers = signed(i)
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    head = b"POST /hooks/a%d/hook HTTP/1.1\r\nhost: localhost\r\n" % (i % AGENTS)
    return head + lines + b"content-length: %d\r\n\r\n" % len(body) + body


async def send(port: int, n: int) -> None:
    """64 connections, each with one request at a time."""
    work = iter(range(n))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in work:
            writer.write(request(i))
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 202") or length is None:
                raise RuntimeError(f"not accepted: {head!r}")
            await reader.readexactly(int(length[1]))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(FLIGHT)))


async def ended(client: Client) -> None:
    """Returns once nothing is queued or running."""
    while True:
        now = await client.runtime.get()
        if not now.running and not now.queued:
            return
        await asyncio.sleep(0.02)


async def _run(folder: Path, n: int) -> None:
    port = free_port()
    with in_its_own_process(folder, http=f"127.0.0.1:{port}") as (address, process, _):
        async with Client(address, timeout=120) as client:
            await client.agents.apply(
                [{"id": name, "labels": {"is": "it"}, "spec": one} for name, one in agents()]
            )
            await client.agents.start_all({"is": "it"})
            cpu, begun = cpu_of(process), time.perf_counter()
            await send(port, n)
            submitted = time.perf_counter() - begun
            await ended(client)
            took = time.perf_counter() - begun
            figures = {
                "per_second": n / took,
                "submitted_per_second": n / submitted,
                "cpu_us": 1e6 * (cpu_of(process) - cpu) / n,
                "rss_mib": rss_of(process),
            }
    check_all_succeeded(folder, n)
    report(**figures)


def run(folder: Path, *, n: int) -> None:
    uvloop.run(_run(folder, n))
