"""Outbound hooks and deliveries off the wire."""

from nightcrew.client.models.delivery import Delivery, DeliveryState, OutboundHook
from nightcrew.client.wire.enums import EnumTable
from nightcrew.client.wire.times import from_timestamp
from nightcrew.v1 import delivery_pb2

_STATES = EnumTable(delivery_pb2.Delivery.State.DESCRIPTOR, DeliveryState)


def delivery(wire: delivery_pb2.Delivery) -> Delivery:
    """A delivery."""
    return Delivery(
        hook=wire.hook,
        sequence=wire.sequence,
        event_type=wire.event_type,
        state=_STATES[wire.state],
        attempts=wire.attempts,
        next_attempt_time=from_timestamp(wire.next_attempt_time)
        if wire.HasField("next_attempt_time")
        else None,
        last_attempt_time=from_timestamp(wire.last_attempt_time)
        if wire.HasField("last_attempt_time")
        else None,
        status=wire.status,
        reason=wire.reason,
        create_time=from_timestamp(wire.create_time) if wire.HasField("create_time") else None,
    )


def outbound_hook(wire: delivery_pb2.OutboundHook) -> OutboundHook:
    """A hook with what is counted of it."""
    return OutboundHook(
        name=wire.name, disabled=wire.disabled, lag=wire.lag, retrying=wire.retrying, dead=wire.dead
    )
