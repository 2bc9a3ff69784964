"""A request's body, raw, no larger than it may be and in time."""

import asyncio
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

SLOW: Final = 30.0
"""Seconds that a body may take to come: one of 1 MiB does at 300 kbit/s."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. One that is too large is refused as soon as that is known, not when it has all come.

    Raises:
        HTTPException: 413, it is larger than `limit` bytes; 408, it does not come in time; 400, the client has gone.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(SLOW):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        headers = {"Connection": "close"}
        raise HTTPException(408, f"the body has not come within {SLOW:.0f} s", headers) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body ended too early") from None
    return b"".join(parts)


def _too_large(limit: int) -> HTTPException:
    # The connection is not closed: the server drops the rest as it comes, and a client that sends before it reads
    # gets to read this.
    return HTTPException(413, f"a body may be at most {limit} bytes")
