"""What filters and orders may name, for each resource that is listed (the docstrings of ports.store.Reads)."""

from collections.abc import Mapping
from typing import Any, Final

from nightcrew.domain.agent import AgentState
from nightcrew.domain.backfill import BackfillState
from nightcrew.domain.delivery import DeliveryState
from nightcrew.domain.event import Event
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.filter_fields import ANY_KEY, INTEGER, STRING, TIME, FieldKind, enum_of
from nightcrew.domain.fire import FireOutcome
from nightcrew.domain.log import LogStream, Severity

AGENTS: Final[Mapping[str, FieldKind]] = {
    "id": STRING,
    "display_name": STRING,
    "state": enum_of(AgentState),
    "generation": INTEGER,
    "create_time": TIME,
    "update_time": TIME,
    "labels.*": STRING,
    "program": STRING,
}
AGENT_ORDERS: Final = frozenset({"create_time", "update_time", "id"})

EXECUTIONS: Final[Mapping[str, FieldKind]] = {
    "id": STRING,
    "agent_id": STRING,
    "state": enum_of(ExecutionState),
    "trigger.kind": enum_of(TriggerKind),
    "trigger.trigger_id": STRING,
    "attempt": INTEGER,
    "priority": INTEGER,
    "create_time": TIME,
    "start_time": TIME,
    "end_time": TIME,
    "error.type": STRING,
    "labels.*": STRING,
}
EXECUTION_ORDERS: Final = frozenset({"create_time", "end_time", "priority"})

FIRES: Final[Mapping[str, FieldKind]] = {
    "agent_id": STRING,
    "trigger_id": STRING,
    "outcome": enum_of(FireOutcome),
    "nominal_time": TIME,
    "actual_time": TIME,
    "execution_id": STRING,
}
FIRE_ORDERS: Final = frozenset({"nominal_time"})

BACKFILLS: Final[Mapping[str, FieldKind]] = {
    "id": STRING,
    "agent_id": STRING,
    "trigger_id": STRING,
    "state": enum_of(BackfillState),
    "create_time": TIME,
    "end_time": TIME,
}
BACKFILL_ORDERS: Final = frozenset({"create_time", "end_time"})

DELIVERIES: Final[Mapping[str, FieldKind]] = {
    "hook": STRING,
    "sequence": INTEGER,
    "event_type": STRING,
    "state": enum_of(DeliveryState),
    "attempts": INTEGER,
    "status": INTEGER,
    "create_time": TIME,
    "next_attempt_time": TIME,
}
DELIVERY_ORDERS: Final = frozenset({"create_time", "next_attempt_time", "sequence"})

EVENTS: Final[Mapping[str, FieldKind]] = {
    "sequence": INTEGER,
    "id": STRING,
    "source": STRING,
    "type": STRING,
    "subject": STRING,
    "time": TIME,
    "agent_id": STRING,
    "execution_id": STRING,
    "cause_sequence": INTEGER,
    "actor": STRING,
    "extensions.*": STRING,
}
EVENT_ORDERS: Final = frozenset({"sequence"})


class _Values(dict[str, Any]):
    """Values by field; an extension that an event lacks is an empty text, as in the store."""

    def get(self, name: str, default: Any = "") -> Any:
        """The value of a field."""
        return super().get(name, default)


_EVENT_COLUMNS: Final = tuple(name for name in EVENTS if not name.endswith(ANY_KEY))


def event_values(event: Event) -> Mapping[str, Any]:
    """The values of those fields, for filters over events in memory."""
    values = _Values({name: getattr(event, name) for name in _EVENT_COLUMNS})
    values.update({f"extensions.{name}": text for name, text in event.extensions.items()})
    return values


LOGS: Final[Mapping[str, FieldKind]] = {
    "severity": enum_of(Severity),
    "stream": enum_of(LogStream),
    "time": TIME,
    "sequence": INTEGER,
    "message": STRING,
}
