"""The event log's tail, read once for all watchers: recent events from memory, older ones from the table."""

import asyncio
from collections import deque
from itertools import islice
from typing import Final

from nightcrew.crew.bus import Bus, Signal
from nightcrew.domain.event import Event
from nightcrew.ports.reads import Reads

KEPT: Final = 4096
"""Events kept in memory; a watcher that falls further behind reads the table at its own speed."""
KEPT_CHARACTERS: Final = 16 * 1024 * 1024
"""Of their data, which may be 1 MiB each."""
BATCH: Final = 512


class EventFeed:
    """Events after a sequence, in order, without holes."""

    def __init__(self, *, reads: Reads, bus: Bus) -> None:
        self._reads = reads
        self._bus = bus
        self._tail: deque[Event] = deque()
        self._characters = 0
        self._seen = -1
        self._lock = asyncio.Lock()

    @property
    def version(self) -> int:
        """The signal's version: take it before you look."""
        return self._bus.events.version

    @property
    def signal(self) -> Signal:
        """Poked when something was appended."""
        return self._bus.events

    async def bounds(self) -> tuple[int, int]:
        """(oldest sequence kept, newest ever given)."""
        return await self._reads.event_bounds()

    async def after(self, sequence: int) -> list[Event]:
        """The next events after a sequence, some hundreds at most; an empty list when there is none yet."""
        await self._refresh()
        tail = self._tail
        if not tail or sequence >= tail[-1].sequence:
            return []
        if sequence + 1 < tail[0].sequence:
            return await self._reads.events_after(sequence, limit=BATCH)
        start = sequence + 1 - tail[0].sequence
        return list(islice(tail, start, start + BATCH))

    async def _refresh(self) -> None:
        """Brings the tail up to date; one read serves everyone who asks meanwhile."""
        if self._seen == self._bus.events.version:
            return
        async with self._lock:
            version = self._bus.events.version
            if self._seen == version:
                return
            if not self._tail:
                newest = (await self._reads.event_bounds())[1]
                await self._extend(max(0, newest - KEPT))
            else:
                await self._extend(self._tail[-1].sequence)
            self._seen = version

    async def _extend(self, sequence: int) -> None:
        while events := await self._reads.events_after(sequence, limit=BATCH):
            if self._tail and events[0].sequence != self._tail[-1].sequence + 1:
                self._tail.clear()  # rows were pruned meanwhile: the tail must stay without holes
                self._characters = 0
            self._tail.extend(events)
            self._characters += sum(len(event.data) for event in events)
            while len(self._tail) > KEPT or self._characters > KEPT_CHARACTERS:
                self._characters -= len(self._tail.popleft().data)
            sequence = events[-1].sequence
