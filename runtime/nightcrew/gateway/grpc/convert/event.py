"""Events as messages."""

from nightcrew.domain.event import Event
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.gateway.grpc.convert.values import fill_value_text
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
