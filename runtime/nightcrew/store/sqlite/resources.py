"""What can be listed: each resource's table, columns, and the fields that filters and orders may name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nightcrew.domain.filter import Order
from nightcrew.store.sqlite import agent_rows, backfills, events, execution_rows, fires, outbound
from nightcrew.store.sqlite.filters import EXTENSIONS, LABELS, Field


@dataclass(frozen=True, slots=True)
class Resource:
    """A table that is listed in pages; `key` is its row id, which settles the order of equals."""

    name: str
    table: str
    columns: str
    fields: Mapping[str, Field]
    orders: Mapping[str, Field]
    default: Order
    key: str = "seq"


_CREATE_TIME: Final = Field("create_time")

AGENTS: Final = Resource(
    name="agents",
    table="agents",
    columns=agent_rows.COLUMNS,
    fields={
        "id": Field("id"),
        "display_name": Field("display_name"),
        "state": Field("state"),
        "generation": Field("generation"),
        "create_time": _CREATE_TIME,
        "update_time": Field("update_time"),
        "program": Field("program"),
        LABELS: Field("labels"),
    },
    orders={"create_time": _CREATE_TIME, "update_time": Field("update_time"), "id": Field("id")},
    default=Order("create_time", descending=True),
)

EXECUTIONS: Final = Resource(
    name="executions",
    table="executions",
    columns=execution_rows.SHOWN,
    fields={
        "id": Field("id"),
        "agent_id": Field("agent_id"),
        "state": Field("state"),
        "trigger.kind": Field("trigger_kind"),
        "trigger.trigger_id": Field("trigger_id"),
        "attempt": Field("attempt"),
        "priority": Field("priority"),
        "create_time": _CREATE_TIME,
        "start_time": Field("start_time", nullable=True),
        "end_time": Field("end_time", nullable=True),
        "error.type": Field("error_type", nullable=True),
        LABELS: Field("labels"),
    },
    orders={
        "create_time": _CREATE_TIME,
        "end_time": Field("end_time", nullable=True),
        "priority": Field("priority"),
    },
    default=Order("create_time", descending=True),
)

FIRES: Final = Resource(
    name="fires",
    table="fires",
    columns=fires.COLUMNS,
    fields={
        "agent_id": Field("agent_id"),
        "trigger_id": Field("trigger_id"),
        "outcome": Field("outcome"),
        "nominal_time": Field("nominal_time"),
        "actual_time": Field("actual_time"),
        "execution_id": Field("execution_id"),
    },
    orders={"nominal_time": Field("nominal_time")},
    default=Order("nominal_time", descending=True),
)

BACKFILLS: Final = Resource(
    name="backfills",
    table="backfills",
    columns=backfills.COLUMNS,
    fields={
        "id": Field("id"),
        "agent_id": Field("agent_id"),
        "trigger_id": Field("trigger_id"),
        "state": Field("state"),
        "create_time": _CREATE_TIME,
        "end_time": Field("end_time", nullable=True),
    },
    orders={"create_time": _CREATE_TIME, "end_time": Field("end_time", nullable=True)},
    default=Order("create_time", descending=True),
)

_SEQUENCE: Final = Field("sequence")

EVENTS: Final = Resource(
    name="events",
    table="events",
    columns=events.COLUMNS,
    fields={
        "sequence": _SEQUENCE,
        # One of the runtime's own has its sequence as its id.
        "id": Field("CASE id WHEN '' THEN CAST(sequence AS TEXT) ELSE id END"),
        "source": Field("source"),
        "type": Field("type"),
        "subject": Field("subject"),
        "time": Field("time"),
        "agent_id": Field("agent_id"),
        "execution_id": Field("execution_id"),
        "cause_sequence": Field("cause_sequence"),
        "actor": Field("actor"),
        EXTENSIONS: Field("extensions"),
    },
    orders={"sequence": _SEQUENCE},
    default=Order("sequence", descending=True),
    key="sequence",
)

DELIVERIES: Final = Resource(
    name="deliveries",
    table="outbound_deliveries",
    columns=outbound.COLUMNS,
    fields={
        "hook": Field("hook"),
        "sequence": Field("sequence"),
        "event_type": Field("event_type"),
        "state": Field("state"),
        "attempts": Field("attempts"),
        "status": Field("status"),
        "create_time": _CREATE_TIME,
        "next_attempt_time": Field("next_attempt_time", nullable=True),
    },
    orders={
        "create_time": _CREATE_TIME,
        "next_attempt_time": Field("next_attempt_time", nullable=True),
        "sequence": Field("sequence"),
    },
    default=Order("create_time", descending=True),
)
