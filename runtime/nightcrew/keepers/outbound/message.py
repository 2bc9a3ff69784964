"""An event as an outbound request: a CloudEvent over HTTP, signed as Standard Webhooks."""

from datetime import datetime

from cloudevents.core.bindings.http import HTTPMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook

from nightcrew.domain.event import Event
from nightcrew.domain.spec.outbound import OutboundMode
from nightcrew.domain.values import decode

_FORMAT = JSONFormat()


def webhook_id(event: Event, incarnation: str) -> str:
    """What receivers know a repetition by: the same for every attempt, for every hook and after every restart."""
    return f"evt_{incarnation}_{event.sequence}"


def message_of(event: Event, mode: OutboundMode) -> HTTPMessage:
    """Headers and body of an event.

    Beside the attributes of the event it has the extensions `sequence`, and `agentid` and `executionid` where it is
    about one.
    """
    attributes = {
        **event.extensions,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "specversion": "1.0",
        "time": event.time,
        "datacontenttype": "application/json",
        "sequence": str(event.sequence),
    }
    about = {"subject": event.subject, "agentid": event.agent_id, "executionid": event.execution_id}
    attributes |= {name: value for name, value in about.items() if value}
    if mode is OutboundMode.BINARY:
        return to_binary(CloudEvent(attributes, event.data.encode()), _FORMAT)
    return to_structured(CloudEvent(attributes, decode(event.data)), _FORMAT)


def signature(body: bytes, *, secret: str, message_id: str, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
    }
