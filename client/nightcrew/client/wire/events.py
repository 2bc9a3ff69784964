"""Events off the wire, and on it."""

from nightcrew.client.models.event import Event, Gap, NewEvent, PublishResult
from nightcrew.client.wire.times import from_timestamp, to_timestamp
from nightcrew.client.wire.values import fill_value, from_value
from nightcrew.v1 import event_pb2, event_service_pb2, watch_pb2


def event(wire: event_pb2.Event) -> Event:
    """An event."""
    return Event(
        sequence=wire.sequence,
        id=wire.id,
        source=wire.source,
        type=wire.type,
        subject=wire.subject,
        time=from_timestamp(wire.time) if wire.HasField("time") else None,
        data=from_value(wire.data),
        extensions=dict(wire.extensions),
        agent_id=wire.agent_id,
        execution_id=wire.execution_id,
        cause_sequence=wire.cause_sequence,
        actor=wire.actor,
    )


def gap(wire: watch_pb2.Gap) -> Gap:
    """Events that are missing."""
    return Gap(from_sequence=wire.from_sequence, to_sequence=wire.to_sequence)


def publish_result(wire: event_service_pb2.PublishResult) -> PublishResult:
    """Where a published event stands."""
    return PublishResult(sequence=wire.sequence, deduplicated=wire.deduplicated)


def to_wire(value: NewEvent, path: str) -> event_pb2.Event:
    """An Event message; `path` is where it stands in the request."""
    message = event_pb2.Event(
        id=value.id,
        source=value.source,
        type=value.type,
        subject=value.subject,
        extensions=dict(value.extensions),
    )
    if value.time is not None:
        message.time.CopyFrom(to_timestamp(value.time, f"{path}.time"))
    if value.data is not None:
        fill_value(message.data, value.data, f"{path}.data")
    return message
