"""One source: what a broker hands over is gathered, published in one commit, and only then acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from nightcrew.domain.broker.message import Message, Unfit, event_of
from nightcrew.domain.broker.url import BrokerUrl, broker_url
from nightcrew.domain.cloudevent import Draft, checked_events
from nightcrew.domain.errors import InvalidArgument, Unavailable
from nightcrew.domain.event import SOURCE_REFUSED, NewEvent
from nightcrew.domain.values import checked
from nightcrew.gateway.brokers.access import Access
from nightcrew.gateway.brokers.adapters import adapter, drop, keep, lack
from nightcrew.gateway.brokers.reach import Reach
from nightcrew.gateway.brokers.verdict import Verdict
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
JITTER: Final = 0.5
"""Seconds, at most, that are added to the wait before a broker is tried again."""
CONNECT_TIME: Final = 20.0
MAX_TOLD: Final = 500
MAX_NAME: Final = 200
"""Characters of a component's name."""

log = structlog.get_logger(__name__)


class SourceLost(Exception):  # noqa: N818 - it names what happened
    """The broker does not answer any more; the source begins anew."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    message: Message
    verdict: "asyncio.Future[Verdict]"


class Source:
    """One broker's URL, for all triggers that name it.

    Args:
        text: The URL as it is written.
        events: Where events are published.
        reach: How brokers are reached.
        clock: For waits.
        ids: Names events that have no name.

    Attributes:
        text: The URL as it is written.
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
        self._begun = False
        self._open = False
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
        if self._begun:  # those that have lost the same broker don't all knock at once
            await self._clock.sleep(self._ids.random() * JITTER)
        self._begun = True
        self._queue = asyncio.Queue()
        access = await self._reach.access(self.url)
        await _knock(access)
        async with asyncio.timeout(CONNECT_TIME):
            broker = await adapter(self.url.kind)(access, self._take)
        try:
            self._open = True  # a broker hands messages over before it says that it has started
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
            self._open = False
            self._give_back()
            await self._close(broker)

    async def _take(self, message: Message) -> Verdict:
        if self.closed or not self._open:
            return Verdict.LEFT
        arrival = _Arrival(message, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(arrival)
        return await arrival.verdict

    async def _pump(self) -> None:
        while True:
            batch = [await self._queue.get()]
            size = len(batch[0].message.body)
            while len(batch) < BATCH and size < BATCH_BYTES and not self._queue.empty():
                batch.append(self._queue.get_nowait())
                size += len(batch[-1].message.body)
            try:
                await self._publish(batch)
            finally:
                _tell(batch, Verdict.LEFT)  # those of which nothing is known yet: it was cut short

    async def _publish(self, batch: Sequence[_Arrival]) -> None:
        drafts: list[Draft] = []
        fit: list[_Arrival] = []
        unfit: list[_Arrival] = []
        refusals: list[NewEvent] = []
        for one in batch:
            try:
                drafts.append(self._draft(one.message))
                fit.append(one)
            except (Unfit, InvalidArgument) as error:
                refusals.append(self._refusal(one.message, str(error)))
                unfit.append(one)
        if refusals and await self._written(lambda: self._events.tell(refusals)):
            _tell(unfit, Verdict.UNFIT)
        if drafts and await self._written(
            lambda: self._events.publish(drafts, request=Request(method="broker"))
        ):
            _tell(fit, Verdict.TAKEN)

    async def _written(self, write: Callable[[], Awaitable[object]]) -> bool:
        """Writes, again until the store takes it: what is not on disk is not acknowledged. False: we drain."""
        while True:
            try:
                await write()
            except Unavailable as error:
                if error.code == "draining":
                    self.closed = True
                    return False
                log.warning("a broker's messages wait", source=self.url.public, error=error.message)
                await self._clock.sleep(STORE_RETRY)
            else:
                return True

    def _draft(self, message: Message) -> Draft:
        """The event of a message.

        Raises:
            Unfit: It is none.
            InvalidArgument: It is none that may be published.
        """
        draft = event_of(message, self.url)
        checked_events([draft], now=self._clock.now(), new_id=self._ids.uuid7, name="message")
        return draft

    def _refusal(self, message: Message, why: str) -> NewEvent:
        """The fact that a message is no event: it would be none the next time, so it must not come for ever."""
        told = {
            "subject": message.subject[:MAX_TOLD],
            "identity": message.identity[:MAX_TOLD],
            "bytes": len(message.body),
            "why": why[:MAX_TOLD],
        }
        log.warning("a broker's message is no event", source=self.url.public, **told)
        return NewEvent(
            type=SOURCE_REFUSED,
            source=self.url.public,
            time=self._clock.now(),
            data=checked(told, field="data"),
        )

    async def _watch(self, broker: Any) -> None:
        while True:
            await self._clock.sleep(ALIVE_EVERY)
            try:
                async with asyncio.timeout(ALIVE_PATIENCE):
                    answers = await broker.ping(timeout=ALIVE_PATIENCE)
                    why = await lack(self.url, broker) if answers else "does not answer"
            except Exception as error:  # noqa: BLE001 - whatever its client says, nothing comes from it any more
                why = f"does not answer: {str(error) or type(error).__name__}"
            if why:
                raise SourceLost(f"{self.url.public} {why}")

    def _give_back(self) -> None:
        while not self._queue.empty():
            _tell([self._queue.get_nowait()], Verdict.LEFT)

    async def _close(self, broker: Any) -> None:
        if not self.over:
            keep(self.url.kind, broker)
        try:
            async with asyncio.timeout(CLOSE_PATIENCE):
                await broker.stop()
        except Exception as error:  # noqa: BLE001 - what can't be closed is gone; it is told
            log.debug(
                "a broker's connection was not closed in order", source=self.url.public, error=repr(error)
            )
            await drop(self.url.kind, broker)


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


def _tell(arrivals: Sequence[_Arrival], verdict: Verdict) -> None:
    for one in arrivals:
        if not one.verdict.done():
            one.verdict.set_result(verdict)
