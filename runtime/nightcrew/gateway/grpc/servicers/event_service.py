"""EventService over gRPC: events are published, listed and watched."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from nightcrew.crew.bus import Signal
from nightcrew.domain.cloudevent import MAX_EVENTS
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event
from nightcrew.domain.filter import parse
from nightcrew.gateway.grpc.convert.event import draft_of, fill_event
from nightcrew.gateway.grpc.methods import Method, stream, unary
from nightcrew.gateway.grpc.requests import fill_page, query_of, request_of
from nightcrew.gateway.grpc.servicers.deliveries import Deliveries
from nightcrew.gateway.grpc.servicers.watches import fill_mark, selection_of
from nightcrew.ports.clock import Clock
from nightcrew.services.fields import EVENT_ORDERS, EVENTS
from nightcrew.services.use_cases import UseCases
from nightcrew.services.watch_items import Batch
from nightcrew.v1 import event_service_pb2 as pb


class EventServicer:
    """Converts, calls the use case, converts back.

    Args:
        use_cases: What is called.
        clock: Dates heartbeats.
        closing: Once it is poked, watches end.
    """

    def __init__(self, use_cases: UseCases, *, clock: Clock, closing: Signal) -> None:
        self._events = use_cases.events
        self._deliveries = Deliveries(use_cases.deliveries)
        self._watch = use_cases.watch
        self._clock = clock
        self._closing = closing

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "PublishEvents": unary(pb.PublishEventsRequest, self.publish),
            "ListEvents": unary(pb.ListEventsRequest, self.list),
            "WatchEvents": stream(pb.WatchEventsRequest, self.watch),
            **self._deliveries.methods(),
        }

    async def publish(self, request: pb.PublishEventsRequest) -> pb.PublishEventsResponse:
        """Publishes events, all or none."""
        if len(request.events) > MAX_EVENTS:  # before they are converted
            raise InvalidArgument.of("events", f"must be 1 to {MAX_EVENTS}, are {len(request.events)}")
        drafts = [draft_of(event, f"events[{index}]") for index, event in enumerate(request.events)]
        published = await self._events.publish(
            drafts, request=request_of(request, "EventService/PublishEvents")
        )
        out = pb.PublishEventsResponse()
        for one in published:
            out.results.add(sequence=one.sequence, deduplicated=one.deduplicated)
        return out

    async def list(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        """Lists events."""
        query = query_of(request, EVENTS, EVENT_ORDERS, order_by=request.order_by)
        out = pb.ListEventsResponse()
        await fill_page(out, "events", query, self._events.page, fill_event)
        return out

    def watch(self, request: pb.WatchEventsRequest) -> AsyncGenerator[bytes, None]:
        """Streams events."""
        batches = self._watch.events(
            selection_of(request),
            where=parse(request.filter, EVENTS),
            include_snapshot=request.include_snapshot,
            resume_token=request.resume_token,
            closing=self._closing,
        )
        return self._written(batches)

    async def _written(self, batches: AsyncGenerator[Batch, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(batches):
            async for batch in batches:
                out = pb.WatchEventsResponse(resume_token=batch.resume_token)
                for item in batch.items:
                    if isinstance(item, Event):
                        fill_event(out.items.add().event, item)
                    else:
                        fill_mark(out.items.add(), item, self._clock)
                yield out.SerializeToString()
