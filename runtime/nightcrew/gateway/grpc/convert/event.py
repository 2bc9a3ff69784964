"""Events as messages, and messages as events that are to be published."""

from nightcrew.domain.cloudevent import Draft
from nightcrew.domain.event import Event
from nightcrew.gateway.grpc.convert.times import fill_time, time_of
from nightcrew.gateway.grpc.convert.values import fill_value_text, value_of
from nightcrew.v1 import event_pb2


def fill_event(out: event_pb2.Event, event: Event) -> None:
    """Writes an event into an empty message; its data is read from its JSON text."""
    out.sequence = event.sequence
    out.id = event.id
    out.source = event.source
    out.type = event.type
    out.subject = event.subject
    out.agent_id = event.agent_id
    out.execution_id = event.execution_id
    out.cause_sequence = event.cause_sequence
    out.actor = event.actor
    fill_time(out.time, event.time)
    fill_value_text(out.data, event.data)
    if event.extensions:
        out.extensions.update(event.extensions)


def draft_of(message: event_pb2.Event, path: str) -> Draft:
    """An event as its publisher gives it; what is output only is left out.

    Raises:
        InvalidArgument: A number is not finite, or the time is out of range; names its path.
    """
    return Draft(
        type=message.type,
        source=message.source,
        data=value_of(message.data, f"{path}.data"),
        id=message.id,
        subject=message.subject,
        time=time_of(message.time, f"{path}.time") if message.HasField("time") else None,
        extensions=dict(message.extensions),
    )
