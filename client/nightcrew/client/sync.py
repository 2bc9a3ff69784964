"""The client's sync face: the async client itself, run on a loop in a thread of its own."""

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from nightcrew.client.client import DEFAULT_ADDRESS, Client
from nightcrew.client.errors import Closed
from nightcrew.client.pages import Pages
from nightcrew.client.watch import Watch

_END = object()


class SyncClient:
    """Client for code without a loop: the same names, and each call blocks until it is answered.

    ```python
    with SyncClient() as crew:
        run = crew.agents.trigger("digest", wait=10)
        for event in crew.events.watch():
            print(event.type)
    ```

    Lists and watches are plain iterators. Any number of threads may use one client at once; each watch is for
    one of them. The arguments are Client's, and so is the documentation of what `agents`, `executions`,
    `schedules`, `events` and `runtime` can do.
    """

    def __init__(self, address: str = DEFAULT_ADDRESS, **options: Any) -> None:
        self._client = Client(address, **options)
        self._bridge = _Bridge()
        self.agents: Any = _Face(self._client.agents, self._bridge)
        self.executions: Any = _Face(self._client.executions, self._bridge)
        self.schedules: Any = _Face(self._client.schedules, self._bridge)
        self.events: Any = _Face(self._client.events, self._bridge)
        self.runtime: Any = _Face(self._client.runtime, self._bridge)

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._client.address

    def close(self) -> None:
        """Ends the watches, the connection and the thread; iterations in other threads end."""
        self._bridge.close(self._client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Bridge:
    """A loop in a thread, and the way to it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        # A daemon, so that a client that nobody closed does not keep the program from ending.
        self._thread = threading.Thread(target=self._serve, name="nightcrew-client", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Any]) -> Any:
        """What `work` gives, called on the loop and awaited there if it is to be awaited."""
        return self._submit(work, last=False)

    def close(self, last: Callable[[], Any]) -> None:
        """Awaits `last`, then ends the loop; closing again does nothing."""
        try:
            self._submit(last, last=True)
        except Closed:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _submit(self, work: Callable[[], Any], *, last: bool) -> Any:
        with self._lock:
            if self._closed:
                raise Closed
            self._closed = last
            future = asyncio.run_coroutine_threadsafe(_outcome(work), self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise Closed from None
        except BaseException:
            # Ctrl-C in the waiting thread: what it waited for is not wanted any more.
            future.cancel()
            raise

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


class _Face:
    """Anything of the async client, with its coroutines awaited and its async iterators made plain."""

    def __init__(self, target: Any, bridge: _Bridge) -> None:
        self._target = target
        self._bridge = bridge
        self.__doc__ = target.__doc__

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._plain(self._bridge.run(lambda: value(*args, **kwargs)))

        call.__doc__ = value.__doc__
        call.__name__ = name
        return call

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._target) if not name.startswith("_")]

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self._target, Pages):
            # A page a hop between the threads, not an item.
            for page in self._iterate(self._target.pages()):
                yield from page.items
        else:
            yield from self._iterate(self._target)

    def __next__(self) -> Any:
        found = self._next(self._target)
        if found is _END:
            raise StopIteration
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bridge.run(self._target.aclose)

    def _plain(self, value: Any) -> Any:
        if value is self._target:
            return self
        if isinstance(value, Pages | Watch):
            return _Face(value, self._bridge)
        return self._iterate(value) if hasattr(value, "__anext__") else value

    def _iterate(self, source: Any) -> Iterator[Any]:
        iterator = aiter(source)
        while (item := self._next(iterator)) is not _END:
            yield item

    def _next(self, iterator: Any) -> Any:
        try:
            return self._bridge.run(lambda: anext(iterator, _END))
        except Closed:
            if isinstance(iterator, Watch):
                return (
                    _END  # closing the client ends its watches; a list that was cut short must not look whole
                )
            raise


async def _outcome(work: Callable[[], Any]) -> Any:
    found = work()
    return await found if inspect.isawaitable(found) else found
