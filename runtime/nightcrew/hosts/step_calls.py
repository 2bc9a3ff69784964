"""What a step calls: whether it belongs on the loop, and its end where there is no loop."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


def on_loop(call: Callable[[], Any]) -> bool:
    """Whether what is called is async, and so has its place on the program's loop and not in a thread."""
    function = call.func if isinstance(call, functools.partial) else call
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method itself is asked
    )


def finished(value: Any) -> Any:
    """The value itself, or what an awaitable gives, for which a loop is run: the caller has none."""
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
