"""HTTP written byte by byte: what no client library would send."""

import asyncio
import contextlib
import json

MANY = 64 * 1024


async def exchange(address, sent, *, half_close=False, seconds=20):
    """(status, headers, body) of the first answer to bytes as they are; None where the server only closes."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(seconds):
            return await answer(reader)
    finally:
        writer.close()


async def answer(reader):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", 0))
    body = await reader.readexactly(length) if length else b""
    return int(lines[0].split()[1]), headers, body


def request(method="GET", path="/healthz", *headers, host="127.0.0.1", body=b""):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def detail(found):
    return json.loads(found[2])["detail"]
