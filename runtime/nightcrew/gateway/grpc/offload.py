"""Work on large values leaves the event loop alone: half a million numbers take half a second to convert."""

import asyncio
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LARGE: Final = 128 * 1024
"""Bytes from which a value is converted in a thread: less is done in the time that a thread costs."""


async def converted(size: int, convert: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `convert` returns, called here or, for a value of many bytes, in a thread."""
    if size < LARGE:
        return convert(*args, **kwargs)
    return await asyncio.to_thread(convert, *args, **kwargs)
