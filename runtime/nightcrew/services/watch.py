"""Watching: snapshots, then events from the log after a cursor, with gaps and heartbeats; never dropped or doubled."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nightcrew.crew.bus import Bus
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.event import AGENT_CREATED, AGENT_UPDATED, Event
from nightcrew.domain.execution import Execution
from nightcrew.domain.filter import And, Comparison, Expression, Or
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import MAX_PAGE_SIZE, ListQuery
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Reads, Store
from nightcrew.services.feed import EventFeed

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a heartbeat is sent."""
_WATCHED: Final = ("nightcrew.agent.", "nightcrew.execution.")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An agent or an execution as it is now; `last` marks the end of the snapshot."""

    of: Agent | Execution
    last: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """These sequences are no longer kept, or are of another history of the store."""

    from_sequence: int
    to_sequence: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing has happened for a while."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An execution said something."""

    entry: LogEntry


Item = Snapshot | Event | Gap | Heartbeat | Logged


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent in one message, and the token to go on from behind it."""

    items: Sequence[Item]
    resume_token: str


@dataclass(frozen=True, slots=True)
class Token:
    """Where a watcher is: the store's incarnation, the events' sequence, the logs' sequence."""

    incarnation: str
    sequence: int
    log_sequence: int = 0

    def text(self) -> str:
        """The opaque form."""
        raw = json.dumps([self.incarnation, self.sequence, self.log_sequence], separators=(",", ":"))
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token of an opaque text.

        Raises:
            InvalidArgument: It is none of ours.
        """
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            incarnation, sequence, log_sequence = json.loads(raw)
            token = cls(str(incarnation), int(sequence), int(log_sequence))
        except (ValueError, TypeError, binascii.Error) as error:
            raise InvalidArgument.of("resume_token", "is not a token that a watch has given") from error
        if min(token.sequence, token.log_sequence) < 0:
            raise InvalidArgument.of("resume_token", "is not a token that a watch has given")
        return token


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSelection:
    """Which agents are watched: ids, labels, both (either fits), or all."""

    ids: frozenset[str] = frozenset()
    selector: Mapping[str, str] | None = None

    @property
    def all(self) -> bool:
        """Whether nothing was chosen."""
        return not self.ids and not self.selector


class WatchService:
    """Streams of what happens."""

    def __init__(self, *, store: Store, bus: Bus, feed: EventFeed, clock: Clock) -> None:
        self._store = store
        self._reads: Reads = store.reads
        self._bus = bus
        self._feed = feed
        self._clock = clock

    async def agents(
        self, selection: AgentSelection, *, include_snapshot: bool, resume_token: str
    ) -> AsyncIterator[Batch]:
        """Events of agents and their executions, from the token or from now on, without an end.

        Raises:
            InvalidArgument: The token is none of ours.
        """
        cursor, gap = await self._begin(resume_token)
        if gap is not None:
            yield Batch([gap], self._token(cursor))
        if include_snapshot:
            async for batch in self._snapshot(selection, cursor):
                yield batch
        members: dict[str, bool] = {}
        while True:
            version = self._feed.version
            events = await self._feed.after(cursor)
            if not events:
                if not await self._changed(version):
                    yield Batch([Heartbeat()], self._token(cursor))
                continue
            if events[0].sequence > cursor + 1:
                yield Batch([Gap(cursor + 1, events[0].sequence - 1)], self._token(events[0].sequence - 1))
            cursor = events[-1].sequence
            chosen = await self._chosen(events, selection, members)
            if chosen:
                yield Batch(chosen, self._token(cursor))

    async def execution(
        self, execution_id: str, *, include_snapshot: bool, resume_token: str
    ) -> AsyncIterator[Batch]:
        """Events and log entries of one execution; ends when the execution has ended and all was told.

        Raises:
            NotFound: There is no such execution.
            InvalidArgument: The token is none of ours.
        """
        execution = await self._execution(execution_id)
        if resume_token:
            token = Token.parse(resume_token)
            cursor, gap = await self._begin(resume_token)
            logged = token.log_sequence if gap is None or gap.from_sequence else 0
            if gap is not None:
                yield Batch([gap], self._token(cursor, logged))
        else:
            cursor, logged = (await self._feed.bounds())[1], 0
            execution = await self._execution(execution_id)
            include_snapshot = True
        if include_snapshot:
            yield Batch([Snapshot(execution, last=True)], self._token(cursor, logged))
        ended = execution.state.final and not resume_token
        while True:
            versions = self._feed.version, self._bus.logs.version
            entries = await self._reads.logs_after(execution_id, logged, limit=MAX_PAGE_SIZE)
            events = [] if ended else await self._feed.after(cursor)
            mine = [event for event in events if event.execution_id == execution_id]
            logged = entries[-1].sequence if entries else logged
            cursor = events[-1].sequence if events else cursor
            if entries or mine:
                yield Batch([*map(Logged, entries), *mine], self._token(cursor, logged))
            ended = ended or any(_is_end(event) for event in mine)
            if ended and not entries:
                return
            if entries or events:
                continue
            if (await self._execution(execution_id)).state.final and self._feed.version == versions[0]:
                ended = True
                continue
            if not await self._changed(*versions):
                yield Batch([Heartbeat()], self._token(cursor, logged))

    async def _execution(self, execution_id: str) -> Execution:
        execution = await self._reads.execution(execution_id)
        if execution is None:
            raise NotFound("execution", execution_id)
        return execution

    def _token(self, sequence: int, log_sequence: int = 0) -> str:
        return Token(self._store.incarnation, sequence, log_sequence).text()

    async def _begin(self, resume_token: str) -> tuple[int, Gap | None]:
        oldest, newest = await self._feed.bounds()
        if not resume_token:
            return newest, None
        token = Token.parse(resume_token)
        if token.incarnation != self._store.incarnation or token.sequence > newest:
            return oldest - 1, Gap(0, max(oldest - 1, 0))
        if token.sequence + 1 < oldest:
            return oldest - 1, Gap(token.sequence + 1, oldest - 1)
        return token.sequence, None

    async def _snapshot(self, selection: AgentSelection, cursor: int) -> AsyncIterator[Batch]:
        page_token = ""
        held: list[Agent] = []
        while True:
            page = await self._reads.agents(
                ListQuery(page_size=MAX_PAGE_SIZE, page_token=page_token, where=_where(selection))
            )
            held += page.items
            page_token = page.next_page_token
            if page_token:
                out, held = held[:-1], held[-1:]
                yield Batch([Snapshot(agent, last=False) for agent in out], self._token(cursor))
                continue
            if held:
                *rest, final = held
                items = [*(Snapshot(agent, last=False) for agent in rest), Snapshot(final, last=True)]
                yield Batch(items, self._token(cursor))
            else:
                yield Batch([], self._token(cursor))
            return

    async def _chosen(
        self, events: Sequence[Event], selection: AgentSelection, members: dict[str, bool]
    ) -> list[Event]:
        watched = [event for event in events if event.type.startswith(_WATCHED)]
        if selection.all:
            return watched
        for event in watched:
            if event.type in {AGENT_CREATED, AGENT_UPDATED}:
                members.pop(event.agent_id, None)
        unknown = {event.agent_id for event in watched} - members.keys()
        if unknown:
            found = await self._reads.agents_by_id(sorted(unknown))
            for agent_id in unknown:
                members[agent_id] = agent_id in selection.ids or _fits(
                    found.get(agent_id), selection.selector
                )
        return [event for event in watched if members[event.agent_id]]

    async def _changed(self, events: int, logs: int | None = None) -> bool:
        """Waits for a poke; False once a heartbeat is due."""
        waits = [asyncio.ensure_future(self._feed.wait(events))]
        if logs is not None:
            waits.append(asyncio.ensure_future(self._bus.logs.wait_past(logs)))
        due = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(HEARTBEAT, lambda: None if due.done() else due.set_result(None))
        try:
            await asyncio.wait([*waits, due], return_when=asyncio.FIRST_COMPLETED)
            return not due.done()
        finally:
            timer.cancel()
            due.cancel()
            for wait in waits:
                wait.cancel()


def _is_end(event: Event) -> bool:
    return event.type.rsplit(".", 1)[-1] in {"succeeded", "failed", "cancelled", "timed_out"}


def _fits(agent: Agent | None, selector: Mapping[str, str] | None) -> bool:
    if agent is None or not selector:
        return False
    return all(agent.labels.get(key) == value for key, value in selector.items())


def _where(selection: AgentSelection) -> Expression | None:
    """The selection as a filter; ids and labels together are an OR that a caller rarely needs, so ids win."""
    if selection.ids:
        return Or(tuple(Comparison("id", "=", one, 0) for one in sorted(selection.ids)))
    if selection.selector:
        return And(
            tuple(Comparison(f"labels.{key}", "=", value, 0) for key, value in selection.selector.items())
        )
    return None
