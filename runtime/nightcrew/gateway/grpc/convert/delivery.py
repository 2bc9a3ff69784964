"""Outbound hooks and deliveries as messages."""

from typing import Final

from nightcrew.domain.delivery import Delivery, DeliveryState
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.ports.deliveries import HookFigures
from nightcrew.v1 import delivery_pb2

_STATES: Final = {one: delivery_pb2.Delivery.State.Value(one.value) for one in DeliveryState}


def fill_delivery(out: delivery_pb2.Delivery, delivery: Delivery) -> None:
    """Writes a delivery into an empty message."""
    out.hook = delivery.hook
    out.sequence = delivery.sequence
    out.event_type = delivery.event_type
    out.state = _STATES[delivery.state]
    out.attempts = delivery.attempts
    out.status = delivery.status
    out.reason = delivery.reason
    fill_time(out.last_attempt_time, delivery.last_attempt_time)
    fill_time(out.create_time, delivery.create_time)
    if delivery.next_attempt_time is not None:
        fill_time(out.next_attempt_time, delivery.next_attempt_time)


def fill_hook(out: delivery_pb2.OutboundHook, hook: HookFigures) -> None:
    """Writes a hook's figures into an empty message."""
    out.name = hook.name
    out.disabled = hook.disabled
    out.lag = hook.lag
    out.retrying = hook.retrying
    out.dead = hook.dead
