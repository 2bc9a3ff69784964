"""The use cases of outbound hooks: what they could not deliver, and having it tried again."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from nightcrew.crew.commits import After, Commits
from nightcrew.domain.delivery import Delivery
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.page import ListQuery, Page
from nightcrew.ports.clock import Clock
from nightcrew.ports.deliveries import HookFigures
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.once import Request, check_request_id, once

KEPT: Final = timedelta(days=30)
"""How long a delivery that was given up is kept after its last attempt."""


class DeliveryService:
    """What callers can do with what goes out.

    Args:
        hooks: The names of the hooks that are configured.
    """

    def __init__(self, *, commits: Commits, reads: Reads, clock: Clock, hooks: Collection[str]) -> None:
        self._commits = commits
        self._reads = reads
        self._clock = clock
        self._hooks = sorted(hooks)

    async def page(self, query: ListQuery) -> Page[Delivery]:
        """A page of deliveries that were not taken: those that are tried again, and those that were given up."""
        return await self._reads.deliveries(query)

    async def figures(self) -> Sequence[HookFigures]:
        """What is counted of the hooks that are configured."""
        return [one for one in await self._reads.hook_figures() if one.name in self._hooks]

    async def retry(self, hook: str, *, sequence: int, request: Request) -> int:
        """Has deliveries tried again at once, from their first attempt on; a hook that was disabled sends again.

        Args:
            hook: The hook's name.
            sequence: Of one event; 0 is all of the hook's that were given up.
            request: Who asks.

        Returns:
            How many there are.

        Raises:
            NotFound: No such hook is configured, or it has no delivery of that event.
            InvalidArgument: The sequence is negative.
        """
        check_request_id(request)
        if sequence < 0:
            raise InvalidArgument.of("sequence", f"must not be negative, is {sequence}")
        if hook not in self._hooks:
            raise NotFound("outbound hook", hook)
        now = self._clock.now()

        def do(tx: Transaction, after: After) -> int:
            count = tx.outbound.revive(hook, sequence=sequence, now=now)
            if sequence and not count:
                raise NotFound("delivery", f"{hook}/{sequence}")
            known = tx.outbound.hook(hook)
            if known is not None and known.disabled:
                tx.outbound.put_hook(replace(known, disabled=""))
            after.deliveries = True
            return count

        def unit(tx: Transaction, after: After) -> int:
            return once(tx, request, now=now, do=lambda: do(tx, after), remember=str, recall=int)

        return await self._commits.run(unit)
