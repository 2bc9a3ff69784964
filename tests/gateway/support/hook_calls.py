"""Calls of hooks: signed as their providers sign them, over httpx or written byte by byte."""
# ruff: noqa: S107 - the secrets of a test are its data

import asyncio
import contextlib
import hmac

import httpx


def signed(body: bytes, secret="s", **headers):
    """A GitHub request's headers."""
    named = {"x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}
    return named | {name.replace("_", "-"): value for name, value in headers.items()}


@contextlib.asynccontextmanager
async def served(box):
    """A client of the box's hooks over HTTP."""
    async with httpx.AsyncClient(base_url=f"http://{box.runtime.web.address}", trust_env=False) as client:
        yield client


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
