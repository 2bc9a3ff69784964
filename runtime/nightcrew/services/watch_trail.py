"""One watcher's way through the events and the log of one execution, to its end."""

from collections.abc import Callable, Sequence
from typing import Final

from nightcrew.crew.bus import Signal
from nightcrew.domain.event import Event
from nightcrew.domain.execution import FINAL
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import MAX_PAGE_SIZE
from nightcrew.domain.progress import Progress
from nightcrew.ports.reads import Reads
from nightcrew.services.feed import EventFeed
from nightcrew.services.watch_items import Batch, Item, Logged, Progressed, event_portions, log_portions

_ENDS: Final = frozenset(state.value for state in FINAL)


class Trail:
    """Where a watcher of an execution is.

    Args:
        execution_id: Whose trail.
        reads: The store.
        feed: The event log's tail.
        logs: Poked when something was logged.
        further: Poked when some execution has got further.
        token: Makes the token of an event's and a log entry's sequence.
        cursor: Events up to it are told.
        logged: Log entries up to it are told.
        progress: What is told of how far it has got.
        end: The sequence up to which events must be looked at although the execution has ended; None while it
            goes on: then the event of its end is yet to come.
    """

    def __init__(
        self,
        execution_id: str,
        *,
        reads: Reads,
        feed: EventFeed,
        logs: Signal,
        further: Signal,
        token: Callable[[int, int], str],
        cursor: int,
        logged: int,
        progress: Progress | None,
        end: int | None,
    ) -> None:
        self._execution_id = execution_id
        self._reads = reads
        self._feed = feed
        self._logs = logs
        self._further = further
        self._seen_further = -1
        self._token = token
        self._cursor = cursor
        self._logged = logged
        self._progress = progress
        self._end = end
        self._heard = -1
        self.quiet = False
        self.seen: tuple[tuple[Signal, int], ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the execution has ended and all was told."""
        return self._end is not None and self.quiet

    @property
    def token(self) -> str:
        """The token of where the watcher is."""
        return self._token(self._cursor, self._logged)

    async def advance(self) -> list[Batch]:
        """What has come since; sets `quiet` when that was nothing, and `seen` to the signals to wait for."""
        heard = self._logs.version
        further = self._further.version
        self.seen = (
            (self._feed.signal, self._feed.version),
            (self._logs, heard),
            (self._further, further),
        )
        events = await self._feed.after(self._cursor)
        mine = [event for event in events if event.execution_id == self._execution_id]
        entries: list[LogEntry] = []
        if mine or self._heard != heard:
            # After the events, so that all that was said before the end is told when the end is.
            entries = await self._reads.logs_after(self._execution_id, self._logged, limit=MAX_PAGE_SIZE)
            self._heard = -1 if entries else heard
        ends = any(_is_end(event) for event in mine)
        batches = await self._progressed(further, ends=ends) + self._told(entries, mine)
        if entries:
            self._logged = entries[-1].sequence
        if events:
            self._cursor = events[-1].sequence
        if ends:
            self._end = self._cursor
        past = self._end is not None and self._cursor >= self._end
        self.quiet = not entries and (past or not events)
        return batches

    async def _progressed(self, further: int, *, ends: bool) -> list[Batch]:
        """How far it has got, if that is news: only the last that was said, before what else is told."""
        if further == self._seen_further and not ends:
            return []
        self._seen_further = further
        progress = await self._reads.progress(self._execution_id)
        if progress is None or progress == self._progress:
            return []
        self._progress = progress
        return [Batch([Progressed(self._execution_id, progress)], self.token)]

    def _told(self, entries: Sequence[LogEntry], mine: Sequence[Event]) -> list[Batch]:
        """What it said, then what became of it; little of both travels together."""
        said, became = [*log_portions(entries)], [*event_portions(mine)]
        logged = entries[-1].sequence if entries else self._logged
        if len(said) <= 1 and len(became) <= 1:
            items: list[Item] = [*map(Logged, entries), *mine]
            cursor = mine[-1].sequence if mine else self._cursor
            return [Batch(items, self._token(cursor, logged))] if items else []
        batches = [
            Batch([*map(Logged, portion)], self._token(self._cursor, portion[-1].sequence))
            for portion in said
        ]
        batches += (Batch(portion, self._token(portion[-1].sequence, logged)) for portion in became)
        return batches


def _is_end(event: Event) -> bool:
    return "STATE_" + event.type.rsplit(".", 1)[-1].upper() in _ENDS
