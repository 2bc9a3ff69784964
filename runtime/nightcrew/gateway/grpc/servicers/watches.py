"""Watches as streams of serialised answers: an event is made into bytes once for all who watch agents."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol

from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.execution import Execution
from nightcrew.gateway.grpc.convert.agent import AgentMessages
from nightcrew.gateway.grpc.convert.cache import Lru
from nightcrew.gateway.grpc.convert.event import fill_event
from nightcrew.gateway.grpc.convert.execution import fill_execution, fill_progress
from nightcrew.gateway.grpc.convert.log import fill_log
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.ports.clock import Clock
from nightcrew.services.guard import check_labels
from nightcrew.services.status import StatusService
from nightcrew.services.watch_items import (
    AgentSelection,
    Batch,
    EmptySnapshot,
    Gap,
    Heartbeat,
    Item,
    Logged,
    Progressed,
    Snapshot,
)
from nightcrew.v1 import agent_service_pb2, execution_service_pb2

EVENTS_KEPT: Final = 8192
MAX_IDS: Final = 1000
MESSAGE_BYTES: Final = 2 * 1024 * 1024
"""A snapshot's message is not made larger than this: a client's limit is often 4 MiB."""


class WatchRequest(Protocol):
    """A request that selects agents."""

    @property
    def ids(self) -> Sequence[str]:
        """Their ids."""

    @property
    def selector(self) -> Mapping[str, str]:
        """Their labels."""


def selection_of(request: WatchRequest) -> AgentSelection:
    """Which agents a watch is asked for.

    Raises:
        InvalidArgument: There are too many ids, or a label is out of bounds.
    """
    if len(request.ids) > MAX_IDS:
        raise InvalidArgument.of("ids", f"must be at most {MAX_IDS}, are {len(request.ids)}")
    check_labels(request.selector, field="selector")
    return AgentSelection(ids=frozenset(request.ids), selector=dict(request.selector))


class AgentWatches:
    """Writes what WatchAgents streams.

    The parts of a repeated field may stand one after the other in a message's bytes (protobuf's wire format:
    concatenated messages merge), so an answer is joined from items that were serialised before.
    """

    def __init__(self, status: StatusService, messages: AgentMessages, clock: Clock) -> None:
        self._status = status
        self._messages = messages
        self._clock = clock
        self._events: Lru[int, bytes] = Lru(EVENTS_KEPT)

    async def written(self, batches: AsyncGenerator[Batch, None]) -> AsyncGenerator[bytes, None]:
        """The batches as serialised WatchAgentsResponses."""
        async with aclosing(batches):
            async for batch in batches:
                token = agent_service_pb2.WatchAgentsResponse(resume_token=batch.resume_token)
                end = token.SerializeToString()
                if isinstance(batch.items[0], Snapshot):
                    for parts in await self._snapshot(batch):
                        yield parts + end
                else:
                    yield b"".join([*map(self._item, batch.items), end])

    async def _snapshot(self, batch: Batch) -> list[bytes]:
        agents = [
            item.of for item in batch.items if isinstance(item, Snapshot) and isinstance(item.of, Agent)
        ]
        statuses = await self._status.of_all(agents)
        last = batch.items[-1]
        messages: list[bytes] = []
        parts: list[bytes] = []
        size = 0
        for agent in agents:
            out = agent_service_pb2.WatchAgentsResponse()
            snapshot = out.items.add().snapshot
            snapshot.agent.CopyFrom(self._messages.of(agent, statuses[agent.id]))
            snapshot.last = isinstance(last, Snapshot) and last.last and agent is agents[-1]
            part = out.SerializeToString()
            size += len(part)
            if size > MESSAGE_BYTES and parts:
                messages.append(b"".join(parts))
                parts, size = [], len(part)
            parts.append(part)
        return [*messages, b"".join(parts)]

    def _item(self, item: Item) -> bytes:
        if isinstance(item, Event):
            return self._events.get(item.sequence, lambda: self._event(item))
        out = agent_service_pb2.WatchAgentsResponse()
        one = out.items.add()
        match item:
            case EmptySnapshot():
                one.snapshot.last = True
            case _:
                fill_mark(one, item, self._clock)
        return out.SerializeToString()

    def _event(self, event: Event) -> bytes:
        out = agent_service_pb2.WatchAgentsResponse()
        fill_event(out.items.add().event, event)
        return out.SerializeToString()


class ExecutionWatches:
    """Writes what WatchExecution streams."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def written(self, batches: AsyncGenerator[Batch, None]) -> AsyncGenerator[bytes, None]:
        """The batches as serialised WatchExecutionResponses."""
        async with aclosing(batches):
            async for batch in batches:
                out = execution_service_pb2.WatchExecutionResponse(resume_token=batch.resume_token)
                for item in batch.items:
                    self._fill(out.items.add(), item)
                yield out.SerializeToString()

    def _fill(self, one: execution_service_pb2.WatchExecutionItem, item: Item) -> None:
        match item:
            case Event():
                fill_event(one.event, item)
            case Logged(entry):
                fill_log(one.log, entry)
            case Progressed(execution_id, progress):
                one.progress.execution_id = execution_id
                fill_progress(one.progress, progress)
            case Snapshot(of, last) if isinstance(of, Execution):
                fill_execution(one.snapshot.execution, of)
                one.snapshot.last = last
            case _:
                fill_mark(one, item, self._clock)


def fill_mark(one: Any, item: Item, clock: Clock) -> None:
    """Writes a gap or a heartbeat into an item of any watch."""
    match item:
        case Gap(first, last):
            one.gap.SetInParent()
            one.gap.from_sequence = first
            one.gap.to_sequence = last
        case Heartbeat():
            fill_time(one.heartbeat.time, clock.now())
        case _:
            raise AssertionError(f"{type(item).__name__} is no item of this stream")
