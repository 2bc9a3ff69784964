"""One source: what a broker hands over is gathered, published in one commit, and only then acknowledged."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from nightcrew.domain.broker.message import Message, Unfit, event_of
from nightcrew.domain.broker.url import BrokerUrl, broker_url
from nightcrew.domain.cloudevent import Draft, checked_events
from nightcrew.domain.errors import InvalidArgument, Unavailable
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.adapters import adapter, alive, keep
from nightcrew.gateway.brokers.reach import Reach
from nightcrew.ports.clock import Clock, Ids
from nightcrew.services.events import EventService
from nightcrew.services.once import Request

BATCH: Final = 100
BATCH_BYTES: Final = 4 * 1024 * 1024
ALIVE_EVERY: Final = 2.0
"""Seconds between looks whether the broker still answers."""
ALIVE_PATIENCE: Final = 3.0
STORE_RETRY: Final = 1.0
CLOSE_PATIENCE: Final = 3.0
KNOCK_TIME: Final = 5.0
CONNECT_TIME: Final = 20.0
MAX_NAME: Final = 200
"""Characters of a component's name."""

log = structlog.get_logger(__name__)


class SourceLost(Exception):  # noqa: N818 - it names what happened
    """The broker does not answer any more; the source begins anew."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    message: Message
    taken: "asyncio.Future[bool]"


class Source:
    """One broker's URL, for all triggers that name it.

    Args:
        text: The URL as it is written.
        events: Where events are published.
        reach: How brokers are reached.
        clock: For waits.
        ids: Names events that have no name.

    Attributes:
        closed: Nothing is taken any more.
        over: No trigger names it any more; else its broker keeps what comes while it is away.
    """

    def __init__(self, text: str, *, events: EventService, reach: Reach, clock: Clock, ids: Ids) -> None:
        self.text = text
        self.url: BrokerUrl = broker_url(text)
        self._events = events
        self._reach = reach
        self._clock = clock
        self._ids = ids
        self._queue: asyncio.Queue[_Arrival] = asyncio.Queue()
        self.closed = False
        self.over = False

    @property
    def name(self) -> str:
        """What the component is called: the URL without credentials, as the tree takes it."""
        told = self.url.public.replace("://", ":").replace("/", "|")
        return told if len(told) <= MAX_NAME else f"{told[: MAX_NAME - 24]}~{self.url.name}"

    async def serve(self, ready: Callable[[], None]) -> None:
        """Takes messages until it is cancelled.

        Raises:
            Exception: The broker can't be reached, or has gone: the source is begun anew by its supervisor.
        """
        self._queue = asyncio.Queue()
        access = await self._reach.access(self.url)
        await _knock(access)
        async with asyncio.timeout(CONNECT_TIME):
            broker = await adapter(self.url.kind)(access, self._take)
        try:
            async with asyncio.timeout(CONNECT_TIME):
                await broker.start()
            log.info("events are taken", source=self.url.public)
            ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(), name="pump")
                group.create_task(self._watch(broker), name="watch")
        except* SourceLost as lost:
            raise lost.exceptions[0] from None
        finally:
            self._give_back()
            await self._close(broker)

    async def _take(self, message: Message) -> bool:
        if self.closed:
            return False
        arrival = _Arrival(message, asyncio.get_running_loop().create_future())
        await self._queue.put(arrival)
        return await arrival.taken

    async def _pump(self) -> None:
        while True:
            batch = [await self._queue.get()]
            size = len(batch[0].message.body)
            while len(batch) < BATCH and size < BATCH_BYTES and not self._queue.empty():
                batch.append(self._queue.get_nowait())
                size += len(batch[-1].message.body)
            await self._publish(batch)

    async def _publish(self, batch: Sequence[_Arrival]) -> None:
        drafts: list[Draft] = []
        waiting: list[_Arrival] = []
        for one in batch:
            draft = self._draft(one.message)
            if draft is None:
                _tell(one, taken=True)  # unfit, and would be the next time
            else:
                drafts.append(draft)
                waiting.append(one)
        while drafts:
            try:
                await self._events.publish(drafts, request=Request(method="broker"))
                break
            except Unavailable as error:
                if error.code == "draining":
                    self.closed = True
                    for one in waiting:
                        _tell(one, taken=False)
                    return
                log.warning("a broker's messages wait", source=self.url.public, error=error.message)
                await self._clock.sleep(STORE_RETRY)
        for one in waiting:
            _tell(one, taken=True)

    def _draft(self, message: Message) -> Draft | None:
        """The event of a message; one that is unfit is told and left out, or it would come for ever."""
        try:
            draft = event_of(message, self.url)
            checked_events([draft], now=self._clock.now(), new_id=self._ids.uuid7, name="message")
        except (Unfit, InvalidArgument) as error:
            log.warning(
                "a broker's message is no event and is left out",
                source=self.url.public,
                subject=message.subject[:200],
                identity=message.identity[:200],
                why=str(error)[:500],
            )
            return None
        return draft

    async def _watch(self, broker: Any) -> None:
        while True:
            await self._clock.sleep(ALIVE_EVERY)
            if not await alive(self.url.kind, broker, ALIVE_PATIENCE):
                raise SourceLost(f"{self.url.public} does not answer, or what it is read from is gone")

    def _give_back(self) -> None:
        while not self._queue.empty():
            _tell(self._queue.get_nowait(), taken=False)

    async def _close(self, broker: Any) -> None:
        if not self.over:
            keep(self.url.kind, broker)
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await broker.stop()
        except Exception as error:  # noqa: BLE001 - what can't be closed is gone; it is told
            log.info("a broker's connection was not closed", source=self.url.public, error=repr(error))


async def _knock(access: Access) -> None:
    """Whether something listens there: clients try for long before they say that nothing does.

    Raises:
        SourceLost: Nothing does.
    """
    try:
        async with asyncio.timeout(KNOCK_TIME):
            _, writer = await asyncio.open_connection(access.host, access.url.port)
    except (OSError, TimeoutError) as error:
        raise SourceLost(f"{access.url.public} can't be reached: {str(error) or 'no answer'}") from error
    writer.close()


def _tell(arrival: _Arrival, *, taken: bool) -> None:
    if not arrival.taken.done():
        arrival.taken.set_result(taken)
