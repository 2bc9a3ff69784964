"""The use cases of events: publish some, all or none, and list the log."""

from collections.abc import Sequence

from nightcrew.crew.commits import After, Commits
from nightcrew.crew.publishing import Published, publish
from nightcrew.domain.cloudevent import Draft, checked_events
from nightcrew.domain.event import Event, NewEvent
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.values import decode, encode
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.guard import Guard
from nightcrew.services.once import Request, check_request_id, once


class EventService:
    """What callers can do with events."""

    def __init__(self, *, commits: Commits, reads: Reads, guard: Guard, clock: Clock, ids: Ids) -> None:
        self._commits = commits
        self._reads = reads
        self._guard = guard
        self._clock = clock
        self._ids = ids

    async def publish(
        self, drafts: Sequence[Draft], *, request: Request, name: str = "events"
    ) -> list[Published]:
        """Publishes 1 to 1,000 events, all or none; they are on disk, with what they start, when this returns.

        Args:
            drafts: The events as they were given.
            request: Who asks for what.
            name: What the batch is called in errors.

        Raises:
            InvalidArgument: Names every attribute of every event that is wrong.
        """
        check_request_id(request)
        self._guard.check_open()
        now = self._clock.now()
        events = checked_events(drafts, now=now, new_id=self._ids.uuid7, name=name)
        made = [not draft.id for draft in drafts]

        def unit(tx: Transaction, after: After) -> list[Published]:
            def do() -> list[Published]:
                return [
                    publish(tx, after, event, now=now, made_id=made_id)
                    for event, made_id in zip(events, made, strict=True)
                ]

            return once(tx, request, now=now, do=do, remember=_remembered, recall=_recalled)

        return await self._commits.run(unit)

    async def tell(self, facts: Sequence[NewEvent]) -> None:
        """Appends facts of the runtime's own, also while it drains; they start nothing."""

        def unit(tx: Transaction, after: After) -> None:
            for fact in facts:
                after.append(tx, fact)

        await self._commits.run(unit)

    async def newest(self) -> int:
        """The newest sequence that was ever given; 0 if none was."""
        return (await self._reads.event_bounds())[1]

    async def counts_after(self, sequence: int) -> tuple[dict[str, int], int]:
        """How many events of each type came after a sequence, and the sequence up to which that is."""
        newest = await self.newest()
        return await self._reads.event_counts(sequence, newest), newest

    async def page(self, query: ListQuery) -> Page[Event]:
        """A page of the event log."""
        return await self._reads.events(query)


def _remembered(published: Sequence[Published]) -> str:
    return encode([[one.sequence, one.deduplicated] for one in published])


def _recalled(text: str) -> list[Published]:
    return [Published(sequence, deduplicated=deduplicated) for sequence, deduplicated in decode(text)]
