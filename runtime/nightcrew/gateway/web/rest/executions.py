"""Executions as REST answers them."""

from collections.abc import Mapping
from typing import Final

from nightcrew.domain.execution import Execution, ExecutionState, TriggerKind
from nightcrew.gateway.web.rest.answers import ExecutionRead, ExecutionStatus

TRIGGER_SOURCE: Final = "trigger_source"
"""The label that keeps what a caller of `trigger` said of where it came from."""

STATUSES: Final[Mapping[ExecutionState, ExecutionStatus]] = {
    ExecutionState.QUEUED: ExecutionStatus.RUNNING,
    ExecutionState.RUNNING: ExecutionStatus.RUNNING,
    ExecutionState.WAITING: ExecutionStatus.RUNNING,
    ExecutionState.RETRYING: ExecutionStatus.RUNNING,
    ExecutionState.SUCCEEDED: ExecutionStatus.SUCCESS,
    ExecutionState.FAILED: ExecutionStatus.FAILED,
    ExecutionState.CANCELLED: ExecutionStatus.CANCELLED,
    ExecutionState.TIMED_OUT: ExecutionStatus.TIMED_OUT,
}

SOURCES: Final[Mapping[TriggerKind, str]] = {
    TriggerKind.MANUAL: "manual",
    TriggerKind.SCHEDULE: "scheduled",
    TriggerKind.WEBHOOK: "webhook",
    TriggerKind.EVENT: "event",
    TriggerKind.BACKFILL: "backfill",
    TriggerKind.RESIDENT: "resident",
    TriggerKind.RETRY: "retry",
}

OWN_SOURCES: Final = frozenset(SOURCES.values()) - {SOURCES[TriggerKind.MANUAL]}


def execution_json(execution: Execution) -> str:
    """An ExecutionRead as JSON; the result is JSON text already and may be long, so it is not parsed."""
    error = execution.error
    read = ExecutionRead(
        id=execution.id,
        execution_id=execution.id,
        agent_id=execution.agent_id,
        status=STATUSES[execution.state],
        started_at=execution.start_time or execution.create_time,
        completed_at=execution.end_time,
        result=None,
        error_message=None if error is None else error.message,
        trigger_source=_source(execution),
    )
    return f'{read.model_dump_json(exclude={"result"})[:-1]},"result":{execution.result or "null"}}}'


def _source(execution: Execution) -> str:
    source = SOURCES[execution.trigger.kind]
    said = execution.labels.get(TRIGGER_SOURCE)
    return said or source if execution.trigger.kind is TriggerKind.MANUAL else source
