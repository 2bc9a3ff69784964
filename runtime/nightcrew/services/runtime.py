"""The use cases of the runtime itself: what it is, what it is made of, and letting it drain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nightcrew.actor.component import Component
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Store, StoreFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """What GetRuntime answers."""

    version: str
    start_time: datetime
    store: str
    figures: StoreFigures


class RuntimeService:
    """What callers can ask of the runtime."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        version: str,
        components: Callable[[], Sequence[Component]],
        drain: Callable[[], None],
    ) -> None:
        self._store = store
        self._version = version
        self._start_time = clock.now()
        self._components = components
        self._drain = drain

    async def info(self) -> RuntimeInfo:
        """What it is, and how much it has to do."""
        return RuntimeInfo(
            version=self._version,
            start_time=self._start_time,
            store=self._store.location,
            figures=await self._store.reads.store_figures(),
        )

    def components(self) -> Sequence[Component]:
        """The supervision tree as it is now."""
        return self._components()

    def drain(self) -> None:
        """Begins the drain, as SIGTERM does; the process ends when it is done."""
        self._drain()
