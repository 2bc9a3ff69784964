"""The use cases of the runtime itself: what it is, what it is made of, and letting it drain."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nightcrew.actor.component import Component
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.page import Page
from nightcrew.ports.clock import Clock
from nightcrew.ports.deliveries import HookFigures
from nightcrew.ports.reads import StoreFigures
from nightcrew.ports.store import Store
from nightcrew.services.deliveries import DeliveryService
from nightcrew.services.guard import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInfo:
    """What GetRuntime answers."""

    version: str
    start_time: datetime
    store: str
    figures: StoreFigures
    draining: bool
    outbound: Sequence[HookFigures]


class RuntimeService:
    """What callers can ask of the runtime."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        version: str,
        deliveries: DeliveryService,
        components: Callable[[], Sequence[Component]],
        guard: Guard,
        drain: Callable[[float | None], None],
    ) -> None:
        self._store = store
        self._version = version
        self._deliveries = deliveries
        self._start_time = clock.now()
        self._components = components
        self._guard = guard
        self._drain = drain

    @property
    def damage(self) -> str:
        """What was found if the store turned out to be damaged; empty if it did not."""
        return self._store.damage

    async def info(self) -> RuntimeInfo:
        """What it is, and how much it has to do."""
        return RuntimeInfo(
            version=self._version,
            start_time=self._start_time,
            store=self._store.location,
            figures=await self._store.reads.store_figures(),
            draining=self._guard.closed,
            outbound=await self._deliveries.figures(),
        )

    def tree(self) -> Sequence[Component]:
        """The supervision tree as it is now, without the agents' actors: there may be very many."""
        return [one for one in self._components() if not one.parent.endswith("/agents")]

    def components(self, *, page_size: int, page_token: str) -> Page[Component]:
        """A page of the supervision tree as it is now, parents before their children.

        Raises:
            InvalidArgument: The token is none of ours.
        """
        rows = self._components()
        start = 0
        if page_token:
            position, last = _read(page_token)
            # The tree may have changed since: go on behind the last one shown, or where it stood.
            start = next((index + 1 for index, one in enumerate(rows) if one.id == last), position)
        shown = list(rows[start : start + page_size])
        end = start + len(shown)
        return Page(shown, _token(end, shown[-1].id) if shown and end < len(rows) else "")

    def drain(self, *, grace: float | None = None) -> None:
        """Begins the drain, as SIGTERM does; the process ends when it is done. Again: it goes on as it does.

        Args:
            grace: Seconds that running work gets; None is what the runtime was configured with.
        """
        if not self._guard.closed:
            self._drain(grace)


def _token(position: int, last: str) -> str:
    return base64.urlsafe_b64encode(f"{position} {last}".encode()).decode().rstrip("=")


def _read(token: str) -> tuple[int, str]:
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        position, last = text.split(" ", 1)
        return int(position), last
    except ValueError:
        raise InvalidArgument.of(
            "page_token", "is not a token that this service gave out; begin without one"
        ) from None
