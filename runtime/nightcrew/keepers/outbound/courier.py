"""The courier of one outbound hook: reads the event log after its cursor, delivers what the hook wants, tries again.

At least once, across kill -9: the cursor moves in the transaction that also writes down what was not taken, after the
attempts. Order is best effort: what is tried again comes late, and several requests are under way at once. Nothing is
queued in memory: a receiver that is slow or away holds up its own courier, and the log is the queue.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from nightcrew.crew.bus import Bus
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.facts import delivery_fact
from nightcrew.domain.delivery import Delivery, DeliveryState, HookState, Tried, first, judged
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.event import DELIVERY_FAILED, Event
from nightcrew.domain.event_filter import FilterError
from nightcrew.domain.spec.outbound import OutboundHook
from nightcrew.keepers.outbound.sender import Sender
from nightcrew.keepers.waiting import PATIENCE, wait_for_any
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Store, Transaction
from nightcrew.services.feed import EventFeed

AT_ONCE: Final = 8
"""Requests to one receiver that are under way at once."""
BATCH: Final = 32
"""Events that are delivered before the cursor moves: as many may be sent anew after a crash."""
MAX_RETRYING: Final = 1000
"""Deliveries that a hook tries again at most; with more it waits, and what comes meanwhile stays in the log."""
GATHER: Final = 0.05
"""Seconds from an event to its delivery, in which others may come: a commit each would wake every courier."""
STORE_RETRY: Final = 1.0
_NOTE_AFTER: Final = 5.0
"""Seconds after which a cursor that only passed over events is written down."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Turn:
    """What is to be tried now: deliveries that are due, new events, and how far the log was read for these."""

    due: list[tuple[Delivery, Event | None]] = field(default_factory=list)
    fresh: list[Event] = field(default_factory=list)
    seen: int = 0


class Courier:
    """Delivers for one hook, for as long as it is served."""

    def __init__(
        self,
        hook: OutboundHook,
        *,
        sender: Sender,
        store: Store,
        commits: Commits,
        feed: EventFeed,
        bus: Bus,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._hook = hook
        self._sender = sender
        self._store = store
        self._reads: Reads = store.reads
        self._commits = commits
        self._feed = feed
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._seen = 0
        self._noted = 0
        self._noted_at = 0.0
        self._rest_until = 0.0

    @property
    def name(self) -> str:
        """The hook's name."""
        return self._hook.name

    async def serve(self, ready: Callable[[], None]) -> None:
        """Delivers until it is cancelled. A hook that is new begins with what happens from now on."""
        state = await self._join()
        self._seen = self._noted = state.cursor
        oldest, _ = await self._feed.bounds()
        if state.cursor + 1 < oldest:
            _log.warning(
                "events were pruned before they could be delivered",
                hook=self.name,
                from_sequence=state.cursor + 1,
                to_sequence=oldest - 1,
            )
        ready()
        while True:
            versions = {
                self._bus.events: self._bus.events.version,
                self._bus.deliveries: self._bus.deliveries.version,
            }
            try:
                wait = await self._work()
            except NightcrewError as error:
                _log.warning("deliveries wait: the store failed", hook=self.name, error=error.message)
                await self._clock.sleep(STORE_RETRY)
                continue
            await wait_for_any(self._clock, versions, wait)
            await self._clock.sleep(GATHER)

    async def _join(self) -> HookState:
        """The hook's row: made at the log's end if there is none; enabled anew if it has another URL."""
        now = self._clock.now()

        def unit(tx: Transaction, _after: After) -> HookState:
            known = tx.outbound.hook(self.name)
            if known is not None and known.url == self._hook.url:
                return known
            if known is not None:
                state = replace(known, url=self._hook.url, disabled="")
            else:
                newest = tx.events.newest()
                state = HookState(name=self.name, cursor=newest, url=self._hook.url, create_time=now)
            tx.outbound.put_hook(state)
            return state

        return await self._commits.run(unit)

    async def _work(self) -> float:
        """Delivers all there is to deliver; returns the seconds until there may be more."""
        while True:
            state, retrying, due_at = await self._reads.delivery_outlook(self.name)
            if state is None or state.disabled:
                return PATIENCE
            now = self._clock.now()
            resting = self._rest_until - self._clock.monotonic()
            if resting > 0:
                return min(resting, PATIENCE)
            turn = await self._next(now, room=BATCH if retrying < MAX_RETRYING else 0)
            if turn.due or turn.fresh:
                await self._deliver(turn)
            elif turn.seen > self._seen:
                await self._pass_over(turn.seen)
            else:
                await self._note()
                return _seconds_until(due_at, now)

    async def _next(self, now: datetime, *, room: int) -> _Turn:
        due = await self._reads.deliveries_due(self.name, now, limit=BATCH)
        turn = _Turn([(one, await self._event(one.sequence)) for one in due], seen=self._seen)
        room -= len(turn.due)
        if room > 0:
            for event in await self._feed.after(self._seen):
                if self._wants(event):
                    turn.fresh.append(event)
                turn.seen = event.sequence
                if len(turn.fresh) >= room:
                    break
        return turn

    def _wants(self, event: Event) -> bool:
        # Its own failures are not its own to tell: each would make another one.
        if event.type == DELIVERY_FAILED and event.subject == self.name:
            return False
        try:
            return self._hook.wants(event)
        except FilterError as error:
            _log.warning("a filter can't be told", hook=self.name, sequence=event.sequence, why=str(error))
            return False

    async def _event(self, sequence: int) -> Event | None:
        found = await self._reads.events_after(sequence - 1, limit=1)
        return found[0] if found and found[0].sequence == sequence else None

    async def _deliver(self, turn: _Turn) -> None:
        now = self._clock.now()
        tries = turn.due + [
            (first(self._hook, event.sequence, event.type, now=now), event) for event in turn.fresh
        ]
        places = asyncio.Semaphore(AT_ONCE)

        async def attempt(event: Event | None) -> Tried:
            if event is None:
                return Tried(reason="the event is no longer kept")
            async with places:
                return await self._sender.send(self._hook, event, incarnation=self._store.incarnation)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(attempt(event)) for _, event in tries]
        ended = [
            (delivery, event, task.result()) for (delivery, event), task in zip(tries, tasks, strict=True)
        ]
        await self._settle(ended, turn.seen)
        rest = max(tried.rest for *_, tried in ended)
        self._rest_until = self._clock.monotonic() + rest if rest else 0.0

    async def _settle(self, ended: Sequence[tuple[Delivery, Event | None, Tried]], seen: int) -> None:
        """Writes down what was not taken, and how far the log is read: one transaction, tried until it is on disk."""
        now = self._clock.now()
        random = [self._ids.random() for _ in ended]

        def unit(tx: Transaction, after: After) -> None:
            for (delivery, event, tried), chance in zip(ended, random, strict=True):
                self._write(tx, after, delivery, event, tried, now=now, random=chance)
            tx.outbound.advance(self.name, seen)

        while True:
            try:
                await self._commits.run(unit)
            except NightcrewError as error:
                # What was sent was sent: to send it anew would be right, but not kind.
                _log.warning("a cursor waits: the store failed", hook=self.name, error=error.message)
                await self._clock.sleep(STORE_RETRY)
            else:
                break
        self._advanced(seen)

    def _write(
        self,
        tx: Transaction,
        after: After,
        delivery: Delivery,
        event: Event | None,
        tried: Tried,
        *,
        now: datetime,
        random: float,
    ) -> None:
        result = judged(delivery, tried, self._hook, now=now, random=random)
        if result is None:
            tx.outbound.remove(delivery.hook, delivery.sequence)
            return
        if event is None:
            result = replace(result, state=DeliveryState.DEAD, next_attempt_time=None)
        before = tx.outbound.delivery(result.hook, result.sequence)
        tx.outbound.put(result)
        if tried.gone:
            _disable(tx, result)
        # Of a unit that runs again since nobody knew whether it had been committed, the fact may be there already.
        told = before is not None and before.state is DeliveryState.DEAD
        if result.state is DeliveryState.DEAD and not told and delivery.event_type != DELIVERY_FAILED:
            after.append(tx, delivery_fact(result, now=now))

    async def _pass_over(self, seen: int) -> None:
        """Nothing of these concerns the hook; that is written down now and then only."""
        self._seen = seen
        await self._note()

    async def _note(self) -> None:
        since = self._clock.monotonic() - self._noted_at
        if self._seen > self._noted and since >= _NOTE_AFTER:
            seen = self._seen
            await self._commits.run(lambda tx, _after: tx.outbound.advance(self.name, seen))
            self._advanced(seen)

    def _advanced(self, seen: int) -> None:
        self._seen = self._noted = seen
        self._noted_at = self._clock.monotonic()


def _disable(tx: Transaction, delivery: Delivery) -> None:
    known = tx.outbound.hook(delivery.hook)
    if known is not None and not known.disabled:
        tx.outbound.put_hook(replace(known, disabled=delivery.reason))
        _log.warning("an outbound hook is disabled", hook=delivery.hook, why=delivery.reason)


def _seconds_until(due: datetime | None, now: datetime) -> float:
    if due is None:
        return PATIENCE
    return min(max((due - now).total_seconds(), 0.0), PATIENCE)
