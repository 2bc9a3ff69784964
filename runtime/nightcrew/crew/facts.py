"""The runtime's own events: one constructor for each fact that is written down when it becomes true."""

from datetime import datetime
from typing import Any

from nightcrew.domain.agent import Agent
from nightcrew.domain.backfill import Backfill
from nightcrew.domain.delivery import Delivery
from nightcrew.domain.durations import format_instant
from nightcrew.domain.event import (
    AGENT_RESTARTED,
    DELIVERY_FAILED,
    EXECUTION_EVENTS,
    FIRE_MISSED,
    NewEvent,
    agent_source,
    outbound_source,
)
from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerRef
from nightcrew.domain.schedule.catch_up import Passed
from nightcrew.domain.values import encode

RESULT_IN_EVENT = 64 * 1024
"""A result up to this size travels in the event (semantics.md, Events)."""


def agent_fact(
    kind: str, agent: Agent, *, now: datetime, actor: str = "", before: Agent | None = None
) -> NewEvent:
    """A fact about an agent, with its state and reason.

    It has the agent's labels, and those it had before if they have changed, so that whom a selector finds can be
    told from the log alone.
    """
    data: dict[str, Any] = {
        "state": agent.state.value,
        "reason": agent.state_reason,
        "generation": agent.generation,
    }
    if agent.labels:
        data["labels"] = dict(agent.labels)
    if before is not None and before.labels != agent.labels:
        data["labels_before"] = dict(before.labels)
    return NewEvent(
        type=kind,
        source=agent_source(agent.id),
        subject=agent.id,
        time=now,
        data=encode(data),
        agent_id=agent.id,
        actor=actor,
    )


def restart_fact(agent: Agent, trigger: TriggerRef, *, restarts: int, now: datetime) -> NewEvent:
    """An agent's resident is restarted."""
    data = {
        "state": agent.state.value,
        "reason": "its resident has ended",
        "trigger_id": trigger.trigger_id,
        "cause_execution_id": trigger.cause_execution_id,
        "restarts": restarts,
    }
    return NewEvent(
        type=AGENT_RESTARTED,
        source=agent_source(agent.id),
        subject=agent.id,
        time=now,
        data=encode(data),
        agent_id=agent.id,
    )


def execution_fact(
    execution: Execution,
    state: ExecutionState,
    *,
    now: datetime,
    result: str | None = None,
    error: ExecutionError | None = None,
    reason: str = "",
    actor: str = "",
    attempt: int | None = None,
) -> NewEvent:
    """A fact about an execution, in its own attempt if no other is said.

    Its result is in it up to 64 KiB, JSON text spliced in as it is.
    """
    return NewEvent(
        type=EXECUTION_EVENTS[state],
        source=agent_source(execution.agent_id),
        subject=execution.id,
        time=now,
        data=_data(
            execution.attempt if attempt is None else attempt,
            state,
            result=result,
            error=error,
            reason=reason,
        ),
        agent_id=execution.agent_id,
        execution_id=execution.id,
        cause_sequence=execution.trigger.event_sequence,
        actor=actor,
    )


def _data(
    attempt: int,
    state: ExecutionState,
    *,
    result: str | None,
    error: ExecutionError | None,
    reason: str,
) -> str:
    text = f'{{"state":"{state.value}","attempt":{attempt}'
    if reason:
        text += f',"reason":{encode(reason)}'
    if error is not None:
        text += f',"error":{encode({"type": error.type, "message": error.message[:4096]})}'
    if result is not None and len(result) <= RESULT_IN_EVENT:
        text += f',"result":{result}'
    return text + "}"


def missed_fact(agent_id: str, trigger_id: str, gone: Passed, *, now: datetime) -> NewEvent:
    """Nominal times that catch-up passed over."""
    data = {
        "trigger_id": trigger_id,
        "nominal_time": format_instant(gone.first),
        "last_nominal_time": format_instant(gone.last),
        "count": gone.count,
    }
    return NewEvent(
        type=FIRE_MISSED,
        source=agent_source(agent_id),
        subject=trigger_id,
        time=now,
        data=encode(data),
        agent_id=agent_id,
    )


def backfill_fact(kind: str, backfill: Backfill, *, now: datetime, actor: str = "") -> NewEvent:
    """How far a backfill has got, or how it ended."""
    data = {
        "id": backfill.id,
        "trigger_id": backfill.trigger_id,
        "state": backfill.state.value,
        "started": backfill.started,
        "deduplicated": backfill.deduplicated,
        "total": backfill.total,
        "reason": backfill.reason,
    }
    return NewEvent(
        type=kind,
        source=agent_source(backfill.agent_id),
        subject=backfill.id,
        time=now,
        data=encode(data),
        agent_id=backfill.agent_id,
        actor=actor,
    )


def delivery_fact(delivery: Delivery, *, now: datetime) -> NewEvent:
    """An outbound hook has given up on an event."""
    data = {
        "hook": delivery.hook,
        "sequence": delivery.sequence,
        "event_type": delivery.event_type,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "reason": delivery.reason,
    }
    return NewEvent(
        type=DELIVERY_FAILED,
        source=outbound_source(delivery.hook),
        subject=delivery.hook,
        time=now,
        data=encode(data),
    )
