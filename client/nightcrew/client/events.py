"""The event log: publishing, listing and watching events, and what could not be delivered to the outside."""
# ruff: noqa: A002 - `filter` is the contract's name

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from nightcrew.client.chance import request_id as new_request_id
from nightcrew.client.models.delivery import Delivery
from nightcrew.client.models.event import Event, Gap, NewEvent, PublishResult
from nightcrew.client.pages import Page, Pages
from nightcrew.client.transport import Transport
from nightcrew.client.watch import Watch
from nightcrew.client.wire import events as wire
from nightcrew.client.wire.deliveries import delivery
from nightcrew.v1 import event_service_pb2 as rpc
from nightcrew.v1 import event_service_pb2_grpc

EventItem: TypeAlias = Event | Gap
"""What a watch of the event log gives out."""


class Events:
    """The face of nightcrew.v1.EventService."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def publish(
        self, events: Iterable[NewEvent], *, request_id: str | None = None
    ) -> tuple[PublishResult, ...]:
        """Publishes 1 to 1,000 events, all or none; answers each, in their order.

        Raises:
            InvalidArgument: Naming the event that is wrong.
        """
        request = rpc.PublishEventsRequest(
            events=[wire.to_wire(one, f"events[{index}]") for index, one in enumerate(events)],
            request_id=request_id or new_request_id(),
        )
        response = await self._transport.unary(self._stub.PublishEvents, request)
        return tuple(wire.publish_result(one) for one in response.results)

    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Event]:
        """Events, newest first unless `order_by` says otherwise.

        Args:
            filter: In AIP-160's language: `type = "shop.order.created"`.
            order_by: A field, and `desc` where wanted.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[Event]:
            request = rpc.ListEventsRequest(
                page_size=size, page_token=token, filter=filter, order_by=order_by
            )
            response = await self._transport.unary(self._stub.ListEvents, request)
            return Page(tuple(wire.event(one) for one in response.events), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    def watch(
        self,
        *,
        filter: str = "",
        ids: Sequence[str] = (),
        selector: Mapping[str, str] | None = None,
        include_snapshot: bool = False,
        resume_token: str = "",
    ) -> Watch[EventItem]:
        """Watches the event log; see Watch.

        Args:
            filter: Which events, in the language of `list`.
            ids: Events about these agents.
            selector: Events about agents that have all these labels; with `ids`, both must hold.
            include_snapshot: Begin with the events that are kept, oldest first.
            resume_token: Go on after what an earlier watch has given out.
        """
        request = rpc.WatchEventsRequest(
            ids=ids,
            selector=dict(selector or {}),
            include_snapshot=include_snapshot,
            resume_token=resume_token,
            filter=filter,
        )
        return Watch(
            self._transport,
            lambda: self._stub.WatchEvents,
            request,
            readers={"event": wire.event, "gap": wire.gap},
        )

    def deliveries(self, *, filter: str = "", order_by: str = "", page_size: int = 200) -> Pages[Delivery]:
        """Events that outbound hooks could not deliver, newest first unless `order_by` says otherwise.

        Args:
            filter: In AIP-160's language: `hook = "ops" AND state = "STATE_DEAD"`.
            order_by: A field, and `desc` where wanted.
            page_size: How many to ask for at once, at most 1000.
        """

        async def fetch(size: int, token: str) -> Page[Delivery]:
            request = rpc.ListDeliveriesRequest(
                page_size=size, page_token=token, filter=filter, order_by=order_by
            )
            response = await self._transport.unary(self._stub.ListDeliveries, request)
            return Page(tuple(delivery(one) for one in response.deliveries), response.next_page_token)

        return Pages(fetch, page_size=page_size)

    async def redeliver(self, hook: str, *, sequence: int = 0, request_id: str | None = None) -> int:
        """Has deliveries tried again at once, and enables a hook that was disabled; returns how many there are.

        Args:
            hook: The outbound hook's name.
            sequence: The event's; 0 is all that were given up.
            request_id: A UUID; one is made by default.

        Raises:
            NotFound: No such hook is configured, or it has no delivery of that event.
        """
        request = rpc.RetryDeliveryRequest(
            hook=hook, sequence=sequence, request_id=request_id or new_request_id()
        )
        return (await self._transport.unary(self._stub.RetryDelivery, request)).retried

    @cached_property
    def _stub(self) -> "event_service_pb2_grpc.EventServiceAsyncStub":
        return event_service_pb2_grpc.EventServiceStub(self._transport.channel)
