"""Executions as messages: by hand and without detours, since every trigger answers with one."""

from typing import Final

from nightcrew.domain.execution import Execution, ExecutionError, ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.progress import Progress
from nightcrew.domain.step import Wait, WaitKind
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.gateway.grpc.convert.values import fill_struct_text, fill_value_text
from nightcrew.v1 import execution_pb2, step_pb2

_STATES: Final = {one: execution_pb2.Execution.State.Value(one.value) for one in ExecutionState}
_WAITS: Final = {one: execution_pb2.ExecutionWait.Kind.Value(one.value) for one in WaitKind}
_KINDS: Final = {one: execution_pb2.TriggerRef.Kind.Value(one.value) for one in TriggerKind}


def weight(execution: Execution) -> int:
    """About how many bytes an execution's JSON texts have: what its conversion costs."""
    return len(execution.input) + len(execution.result or "")


def fill_execution(out: execution_pb2.Execution, execution: Execution) -> None:
    """Writes an execution into an empty message; its input and result are read from their JSON texts."""
    out.id = execution.id
    out.agent_id = execution.agent_id
    out.agent_generation = execution.agent_generation
    out.state = _STATES[execution.state]
    out.attempt = execution.attempt
    out.priority = execution.priority
    out.interruptions = execution.interruptions
    out.cancel_requested = execution.cancel_requested
    out.cancel_reason = execution.cancel_reason
    _fill_trigger(out.trigger, execution.trigger)
    out.input.SetInParent()
    fill_struct_text(out.input, execution.input)
    if execution.labels:
        out.labels.update(execution.labels)
    if execution.result is not None:
        fill_value_text(out.result, execution.result)
    if execution.error is not None:
        _fill_error(out.error, execution.error)
    fill_time(out.create_time, execution.create_time)
    if execution.start_time is not None:
        fill_time(out.start_time, execution.start_time)
    if execution.end_time is not None:
        fill_time(out.end_time, execution.end_time)
    if execution.wait is not None:
        _fill_wait(out.wait, execution.wait)
    if execution.progress is not None:
        fill_progress(out.progress, execution.progress)
    if execution.next_attempt_time is not None and execution.state is ExecutionState.RETRYING:
        fill_time(out.next_attempt_time, execution.next_attempt_time)


def fill_progress(out: execution_pb2.ExecutionProgress | step_pb2.Progress, progress: Progress) -> None:
    """Writes how far an execution has got into an empty message."""
    out.done = progress.done
    out.total = progress.total
    out.message = progress.message
    out.attempt = progress.attempt
    fill_time(out.time, progress.time)


def _fill_trigger(out: execution_pb2.TriggerRef, trigger: TriggerRef) -> None:
    out.kind = _KINDS[trigger.kind]
    out.trigger_id = trigger.trigger_id
    out.event_id = trigger.event_id
    out.cause_execution_id = trigger.cause_execution_id
    out.event_sequence = trigger.event_sequence
    out.chain_depth = trigger.depth
    if trigger.nominal_time is not None:
        fill_time(out.nominal_time, trigger.nominal_time)


def _fill_wait(out: execution_pb2.ExecutionWait, wait: Wait) -> None:
    out.kind = _WAITS[wait.kind]
    out.signal = wait.signal
    out.message = wait.message
    if wait.until is not None:
        fill_time(out.until, wait.until)


def _fill_error(out: execution_pb2.ExecutionError, error: ExecutionError) -> None:
    out.type = error.type
    out.message = error.message
    out.traceback = error.traceback
    out.retryable = error.retryable
