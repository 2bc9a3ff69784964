"""An execution as a row: its columns, and the way in and out of them."""

from dataclasses import replace
from typing import Any, Final

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.execution import (
    BY_PEOPLE,
    Execution,
    ExecutionError,
    ExecutionState,
    TriggerKind,
    TriggerRef,
)
from nightcrew.domain.step import Wait, WaitKind
from nightcrew.domain.values import decode, encode
from nightcrew.store.sqlite.logs import progress_of

# ruff: noqa: S608 - the SQL is put together from constants

Row = tuple[Any, ...]

_OF_ALL: Final = (
    "seq, id, agent_id, agent_generation, state, trigger_kind, trigger_id, nominal_time, event_id,"
    " cause_execution_id, create_time, attempt, lease, started, keep_attempt, asked_for, priority, interruptions,"
    " unclean, cancel_requested, cancel_reason, next_attempt_time, deadline, start_time, end_time, error_type,"
    " error_message, error_traceback, error_retryable, labels, input, result"
)
_OF_CAUSED: Final = "event_sequence, root_sequence, depth"
COLUMNS: Final = f"{_OF_ALL}, {_OF_CAUSED}, steps, resume"
SHOWN: Final = (
    f"{COLUMNS}, CASE state WHEN 'STATE_WAITING' THEN ("
    "SELECT json_array(kind, until, signal, message) FROM waits WHERE execution = executions.seq) END, ("
    "SELECT json_array(attempt, time, done, total, message) FROM progress WHERE execution = executions.seq)"
)
"""Columns to read from the table itself, with what is waited for and how far it has got."""


def _insert(columns: str) -> str:
    return f"INSERT INTO executions ({columns}) VALUES (NULL{', ?' * columns.count(',')})"


INSERT: Final = _insert(_OF_ALL)
"""Takes `execution_row`: what no event has caused, which is most, does not pay for the columns of what one has."""
INSERT_CAUSED: Final = _insert(f"{_OF_ALL}, {_OF_CAUSED}")
"""Takes `execution_row` and `cause_row`."""

# A dictionary look-up costs a tenth of the enum's constructor.
_STATES: Final = {str(one): one for one in ExecutionState}
_KINDS: Final = {str(one): one for one in TriggerKind}

ErrorRow = tuple[str | None, str | None, str | None, int | None]
_NO_ERROR: Final[ErrorRow] = (None, None, None, None)


def error_row(error: ExecutionError | None) -> ErrorRow:
    """The four columns of an error."""
    if error is None:
        return _NO_ERROR
    return (error.type, error.message, error.traceback, int(error.retryable))


def execution_row(execution: Execution) -> Row:
    """The columns of a new execution, from `id` on, without those of its cause."""
    one, trigger = execution, execution.trigger
    moment = trigger.nominal_time
    return (
        one.id,
        one.agent_id,
        one.agent_generation,
        str(one.state),
        str(trigger.kind),
        trigger.trigger_id,
        None if moment is None else to_micros(moment),
        trigger.event_id,
        trigger.cause_execution_id,
        to_micros(one.create_time),
        one.attempt,
        one.lease,
        int(one.started),
        0,
        int(not one.started and one.state is ExecutionState.QUEUED and trigger.kind in BY_PEOPLE),
        one.priority,
        one.interruptions,
        one.unclean,
        int(one.cancel_requested),
        one.cancel_reason,
        None if one.next_attempt_time is None else to_micros(one.next_attempt_time),
        None if one.deadline is None else to_micros(one.deadline),
        None if one.start_time is None else to_micros(one.start_time),
        None if one.end_time is None else to_micros(one.end_time),
        *error_row(one.error),
        encode(dict(one.labels)) if one.labels else "{}",
        one.input,
        one.result,
    )


def cause_row(trigger: TriggerRef) -> Row:
    """The columns of an execution that an event has caused."""
    return (trigger.event_sequence or None, trigger.root_sequence, trigger.depth)


def shown_of(row: Row) -> Execution:
    """The execution of a row that was selected by `SHOWN`."""
    *own, waits, said = row
    execution = execution_of(tuple(own))
    if said is not None:
        execution = replace(execution, progress=progress_of(decode(said)))
    if waits is None:
        return execution
    kind, until, signal, message = decode(waits)
    moment = None if until is None else from_micros(until)
    return replace(execution, wait=Wait(kind=WaitKind(kind), until=moment, signal=signal, message=message))


def execution_of(row: Row) -> Execution:
    """The execution of a row that was selected by `COLUMNS`."""
    (
        _,
        execution_id,
        agent_id,
        agent_generation,
        state,
        trigger_kind,
        trigger_id,
        nominal_time,
        event_id,
        cause_execution_id,
        create_time,
        attempt,
        lease,
        started,
        _,
        _,
        priority,
        interruptions,
        unclean,
        cancel_requested,
        cancel_reason,
        next_attempt_time,
        deadline,
        start_time,
        end_time,
        error_type,
        error_message,
        error_traceback,
        error_retryable,
        labels,
        given,
        result,
        event_sequence,
        root_sequence,
        depth,
        steps,
        resume,
    ) = row
    return Execution(
        id=execution_id,
        agent_id=agent_id,
        agent_generation=agent_generation,
        state=_STATES[state],
        trigger=TriggerRef(
            kind=_KINDS[trigger_kind],
            trigger_id=trigger_id,
            nominal_time=None if nominal_time is None else from_micros(nominal_time),
            event_id=event_id,
            cause_execution_id=cause_execution_id,
            event_sequence=event_sequence or 0,
            root_sequence=root_sequence or 0,
            depth=depth or 0,
        ),
        create_time=from_micros(create_time),
        input=given,
        attempt=attempt,
        lease=lease,
        started=started == 1,
        priority=priority,
        labels={} if labels == "{}" else decode(labels),
        result=result,
        error=None
        if error_type is None
        else ExecutionError(
            type=error_type,
            message=error_message,
            traceback=error_traceback,
            retryable=error_retryable == 1,
        ),
        next_attempt_time=None if next_attempt_time is None else from_micros(next_attempt_time),
        deadline=None if deadline is None else from_micros(deadline),
        interruptions=interruptions,
        unclean=unclean,
        cancel_requested=cancel_requested == 1,
        cancel_reason=cancel_reason,
        start_time=None if start_time is None else from_micros(start_time),
        end_time=None if end_time is None else from_micros(end_time),
        steps=steps,
        resume=resume == 1,
    )
