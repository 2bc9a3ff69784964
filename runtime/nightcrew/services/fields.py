"""What filters and orders may name, for each resource that is listed (the docstrings of ports.store.Reads)."""

from collections.abc import Mapping
from typing import Final

from nightcrew.domain.agent import AgentState
from nightcrew.domain.backfill import BackfillState
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.filter_fields import INTEGER, STRING, TIME, FieldKind, enum_of
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

LOGS: Final[Mapping[str, FieldKind]] = {
    "severity": enum_of(Severity),
    "stream": enum_of(LogStream),
    "time": TIME,
    "sequence": INTEGER,
    "message": STRING,
}
