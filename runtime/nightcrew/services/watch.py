"""Watching: snapshots, then events from the log after a cursor, with gaps and heartbeats; never dropped or doubled."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

from nightcrew.crew.bus import Bus, Signal
from nightcrew.domain.errors import NotFound, Unavailable
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution
from nightcrew.domain.filter import Expression
from nightcrew.domain.filter_match import matches
from nightcrew.domain.page import ListQuery
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Store
from nightcrew.services.feed import EventFeed
from nightcrew.services.fields import event_values
from nightcrew.services.watch_items import (
    AgentSelection,
    Batch,
    EmptySnapshot,
    Gap,
    Heartbeat,
    Snapshot,
    Token,
    event_portions,
)
from nightcrew.services.watch_members import Members
from nightcrew.services.watch_trail import Trail

HEARTBEAT: Final = 15.0
"""Seconds without a message after which a heartbeat is sent."""
SNAPSHOT_PAGE: Final = 100
"""Agents in one message of a snapshot."""
_WATCHED: Final = ("nightcrew.agent.", "nightcrew.execution.")


class WatchService:
    """Streams of what happens. Nothing is queued for a watcher: each reads on when its last batch has gone out."""

    def __init__(self, *, store: Store, bus: Bus, feed: EventFeed, clock: Clock) -> None:
        self._store = store
        self._reads: Reads = store.reads
        self._bus = bus
        self._feed = feed
        self._clock = clock

    async def agents(
        self, selection: AgentSelection, *, include_snapshot: bool, resume_token: str, closing: Signal
    ) -> AsyncGenerator[Batch, None]:
        """Events of agents and their executions, from the token or from now on, without an end.

        Args:
            selection: Which agents.
            include_snapshot: Begin with the agents as they are; with a token only after a gap.
            resume_token: Where to go on, or empty.
            closing: Once it is poked the stream ends.

        Raises:
            InvalidArgument: The token is none of ours.
            Unavailable: The server closes.
        """
        cursor, gap = await self._begin(resume_token)
        if gap is not None:
            yield Batch([gap], resume_token if include_snapshot else self._token(cursor))
        if include_snapshot and (gap is not None or not resume_token):
            async for batch in self._snapshot(selection, cursor, resume_token):
                yield batch
        elif not resume_token:
            # The token it begins with: a watcher that is torn off before the first event misses nothing.
            yield Batch([Heartbeat()], self._token(cursor))
        members = Members(selection, self._reads)

        async def chosen(events: Sequence[Event]) -> list[Event]:
            return await members.chosen([one for one in events if one.type.startswith(_WATCHED)])

        async for batch in self._follow(cursor, chosen, closing):
            yield batch

    async def events(
        self,
        selection: AgentSelection,
        *,
        where: Expression | None,
        include_snapshot: bool,
        resume_token: str,
        closing: Signal,
    ) -> AsyncGenerator[Batch, None]:
        """Events of the log, from the token or from now on, without an end.

        Args:
            selection: About which agents; all of them and none, if it selects nothing.
            where: Which events (services.fields.EVENTS).
            include_snapshot: Begin with the events that are kept; with a token it says nothing.
            resume_token: Where to go on, or empty.
            closing: Once it is poked the stream ends.

        Raises:
            InvalidArgument: The token is none of ours.
            Unavailable: The server closes.
        """
        cursor, gap = await self._begin(resume_token)
        if gap is not None:
            yield Batch([gap], self._token(cursor))
        elif not resume_token:
            if include_snapshot:
                cursor = (await self._feed.bounds())[0] - 1
            yield Batch([Heartbeat()], self._token(cursor))
        members = Members(selection, self._reads) if selection.ids or selection.selector else None

        async def chosen(events: Sequence[Event]) -> list[Event]:
            named = await members.chosen(events) if members is not None else events
            return [one for one in named if where is None or matches(where, event_values(one))]

        async for batch in self._follow(cursor, chosen, closing):
            yield batch

    async def _follow(
        self, cursor: int, chosen: Callable[[Sequence[Event]], Awaitable[list[Event]]], closing: Signal
    ) -> AsyncGenerator[Batch, None]:
        """Those of the events after the cursor that are chosen, gaps and heartbeats among them."""
        pulse = _Pulse(self._clock)
        while True:
            version = self._feed.version
            events = await self._feed.after(cursor)
            if events:
                if hole := await self._hole(cursor, events):
                    yield Batch([hole], self._token(hole.to_sequence))
                for portion in event_portions(await chosen(events)):
                    yield Batch(portion, self._token(portion[-1].sequence))
                    pulse.sent()
                cursor = events[-1].sequence
            else:
                await pulse.wait(closing, (self._feed.signal, version))
            if pulse.due:
                yield Batch([Heartbeat()], self._token(cursor))
                pulse.sent()

    async def execution(
        self, execution_id: str, *, include_snapshot: bool, resume_token: str, closing: Signal
    ) -> AsyncGenerator[Batch, None]:
        """Events and log entries of one execution; ends when the execution has ended and all was told.

        Without a token it begins with the execution as it is and its log from the beginning, and events follow
        from now on.

        Args:
            execution_id: Which execution.
            include_snapshot: With a token: begin with the execution as it is after a gap.
            resume_token: Where to go on, or empty.
            closing: Once it is poked the stream ends.

        Raises:
            NotFound: There is no such execution.
            InvalidArgument: The token is none of ours.
            Unavailable: The server closes.
        """
        await self._execution(execution_id)
        cursor, gap = await self._begin(resume_token)
        logged = Token.parse(resume_token).log_sequence if resume_token else 0
        if gap is not None:
            logged = logged if gap.from_sequence else 0
            yield Batch([gap], resume_token if include_snapshot else self._token(cursor, logged))
        # Read after the cursor was taken: if it goes on here, the event of its end lies beyond the cursor.
        execution = await self._execution(execution_id)
        trail = Trail(
            execution_id,
            reads=self._reads,
            feed=self._feed,
            logs=self._bus.logs,
            further=self._bus.progress,
            token=self._token,
            cursor=cursor,
            logged=logged,
            progress=None if resume_token else execution.progress,
            end=(await self._feed.bounds())[1] if execution.state.final else None,
        )
        if not resume_token or (include_snapshot and gap is not None):
            yield Batch([Snapshot(execution, last=True)], trail.token)
        pulse = _Pulse(self._clock)
        while True:
            for batch in await trail.advance():
                yield batch
                pulse.sent()
            if trail.ended:
                return
            if trail.quiet:
                await pulse.wait(closing, *trail.seen)
            if pulse.due:
                yield Batch([Heartbeat()], trail.token)
                pulse.sent()

    async def _execution(self, execution_id: str) -> Execution:
        execution = await self._reads.execution(execution_id)
        if execution is None:
            raise NotFound("execution", execution_id)
        return execution

    def _token(self, sequence: int, log_sequence: int = 0) -> str:
        return Token(self._store.incarnation, sequence, log_sequence).text()

    async def _begin(self, resume_token: str) -> tuple[int, Gap | None]:
        token = Token.parse(resume_token) if resume_token else None
        oldest, newest = await self._feed.bounds()
        if token is None:
            return newest, None
        if token.incarnation != self._store.incarnation or token.sequence > newest:
            return oldest - 1, Gap(0, oldest - 1)
        if token.sequence + 1 < oldest:
            return oldest - 1, Gap(token.sequence + 1, oldest - 1)
        return token.sequence, None

    async def _hole(self, cursor: int, events: Sequence[Event]) -> Gap | None:
        """The gap before the events, if what lay there was pruned; a number that was never used is none."""
        if events[0].sequence == cursor + 1:
            return None
        oldest = (await self._feed.bounds())[0]
        return Gap(cursor + 1, min(oldest, events[0].sequence) - 1) if oldest > cursor + 1 else None

    async def _snapshot(
        self, selection: AgentSelection, cursor: int, resume_token: str
    ) -> AsyncGenerator[Batch, None]:
        """The agents as they are.

        Until the last of them is told the token is the one that the watch began with: who goes on from there
        gets the snapshot anew instead of half of one.
        """
        page_token = ""
        while True:
            query = ListQuery(page_size=SNAPSHOT_PAGE, page_token=page_token, where=selection.where)
            page = await self._reads.agents(query)
            page_token = page.next_page_token
            if page_token:
                yield Batch([Snapshot(agent, last=False) for agent in page.items], resume_token)
                continue
            end = len(page.items) - 1
            items = [Snapshot(agent, last=index == end) for index, agent in enumerate(page.items)]
            yield Batch(items or [EmptySnapshot()], self._token(cursor))
            return


class _Pulse:
    """When the next heartbeat is due, and the wait for it or for news."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic() + HEARTBEAT

    @property
    def due(self) -> bool:
        """Whether nothing was sent for too long."""
        return self._clock.monotonic() >= self._at

    def sent(self) -> None:
        """Something was sent."""
        self._at = self._clock.monotonic() + HEARTBEAT

    async def wait(self, closing: Signal, *seen: tuple[Signal, int]) -> None:
        """Returns once a signal is past its version or a heartbeat is due.

        Raises:
            Unavailable: `closing` was poked.
        """
        signals = [closing, *(signal for signal, _ in seen)]
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(
            self._at - self._clock.monotonic(), lambda: None if news.done() else news.set_result(None)
        )
        for signal in signals:
            signal.join(news)
        try:
            if not closing.version and all(signal.version == version for signal, version in seen):
                await news
        finally:
            timer.cancel()
            for signal in signals:
                signal.leave(news)
        if closing.version:
            raise Unavailable(
                "the runtime drains; watch on from the last token when it is back", code="draining"
            )
