"""The RPCs of EventService about what goes out."""

from nightcrew.gateway.grpc.convert.delivery import fill_delivery
from nightcrew.gateway.grpc.methods import Method, unary
from nightcrew.gateway.grpc.requests import fill_page, query_of, request_of, required
from nightcrew.services.deliveries import DeliveryService
from nightcrew.services.fields import DELIVERIES, DELIVERY_ORDERS
from nightcrew.v1 import event_service_pb2 as pb


class Deliveries:
    """Converts, calls the use case, converts back."""

    def __init__(self, deliveries: DeliveryService) -> None:
        self._deliveries = deliveries

    def methods(self) -> dict[str, Method]:
        """The RPCs by their names."""
        return {
            "ListDeliveries": unary(pb.ListDeliveriesRequest, self.list),
            "RetryDelivery": unary(pb.RetryDeliveryRequest, self.retry),
        }

    async def list(self, request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
        """Lists what could not be delivered."""
        query = query_of(request, DELIVERIES, DELIVERY_ORDERS, order_by=request.order_by)
        out = pb.ListDeliveriesResponse()
        await fill_page(out, "deliveries", query, self._deliveries.page, fill_delivery)
        return out

    async def retry(self, request: pb.RetryDeliveryRequest) -> pb.RetryDeliveryResponse:
        """Has deliveries tried again."""
        retried = await self._deliveries.retry(
            required(request.hook, "hook"),
            sequence=request.sequence,
            request=request_of(request, "EventService/RetryDelivery"),
        )
        return pb.RetryDeliveryResponse(retried=retried)
