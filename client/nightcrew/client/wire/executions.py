"""Executions, their steps and their logs off the wire."""

from nightcrew.client.decode import from_parts
from nightcrew.client.models.execution import (
    BulkFailure,
    BulkOutcome,
    Execution,
    ExecutionError,
    ExecutionProgress,
    ExecutionSnapshot,
    ExecutionState,
    ExecutionWait,
    TriggerKind,
    TriggerRef,
    TriggerResult,
    WaitKind,
)
from nightcrew.client.models.log import LogEntry, LogStream, Severity
from nightcrew.client.models.step import Progress, SignalUrl, Step, StepState
from nightcrew.client.wire.enums import EnumTable
from nightcrew.client.wire.times import from_timestamp
from nightcrew.client.wire.values import from_struct, from_value
from nightcrew.v1 import agent_service_pb2, execution_pb2, execution_service_pb2, log_pb2, step_pb2, watch_pb2

STATES = EnumTable(execution_pb2.Execution.State.DESCRIPTOR, ExecutionState)
_KINDS = EnumTable(execution_pb2.TriggerRef.Kind.DESCRIPTOR, TriggerKind)
_WAITS = EnumTable(execution_pb2.ExecutionWait.Kind.DESCRIPTOR, WaitKind)
_STEPS = EnumTable(step_pb2.Step.State.DESCRIPTOR, StepState)
_SEVERITIES = EnumTable(log_pb2.LogEntry.Severity.DESCRIPTOR, Severity)
_STREAMS = EnumTable(log_pb2.LogEntry.Stream.DESCRIPTOR, LogStream)


def execution(wire: execution_pb2.Execution) -> Execution:
    """An execution."""
    has = wire.HasField
    return Execution(
        id=wire.id,
        agent_id=wire.agent_id,
        state=STATES[wire.state],
        agent_generation=wire.agent_generation,
        attempt=wire.attempt,
        trigger=_trigger(wire.trigger),
        input=from_struct(wire.input),
        result=from_value(wire.result),
        error=execution_error(wire.error) if has("error") else None,
        priority=wire.priority,
        next_attempt_time=from_timestamp(wire.next_attempt_time) if has("next_attempt_time") else None,
        interruptions=wire.interruptions,
        cancel_requested=wire.cancel_requested,
        cancel_reason=wire.cancel_reason,
        create_time=from_timestamp(wire.create_time) if has("create_time") else None,
        start_time=from_timestamp(wire.start_time) if has("start_time") else None,
        end_time=from_timestamp(wire.end_time) if has("end_time") else None,
        labels=dict(wire.labels),
        wait=_wait(wire.wait) if has("wait") else None,
        progress=_progress(wire.progress) if has("progress") else None,
    )


def execution_error(wire: execution_pb2.ExecutionError) -> ExecutionError:
    """Why an attempt failed."""
    return ExecutionError(
        type=wire.type, message=wire.message, traceback=wire.traceback, retryable=wire.retryable
    )


def trigger_result(wire: agent_service_pb2.BatchTriggerResult) -> TriggerResult:
    """What became of one request of a batch."""
    if wire.HasField("error"):
        error = wire.error
        return TriggerResult(error=from_parts(error.code, error.reason, error.message, dict(error.metadata)))
    return TriggerResult(execution=execution(wire.execution))


def snapshot(wire: watch_pb2.ExecutionSnapshot) -> ExecutionSnapshot:
    """The execution as a watch begins."""
    return ExecutionSnapshot(execution=execution(wire.execution), last=wire.last)


def step(wire: step_pb2.Step) -> Step:
    """A durable step."""
    has = wire.HasField
    return Step(
        execution_id=wire.execution_id,
        name=wire.name,
        ordinal=wire.ordinal,
        state=_STEPS[wire.state],
        attempts=wire.attempts,
        result=from_value(wire.result),
        error=execution_error(wire.error) if has("error") else None,
        start_time=from_timestamp(wire.start_time) if has("start_time") else None,
        end_time=from_timestamp(wire.end_time) if has("end_time") else None,
    )


def bulk(wire: execution_service_pb2.BulkOutcome) -> BulkOutcome:
    """What came of something that was done to many."""
    return BulkOutcome(
        matched=wire.matched,
        done=wire.done,
        failed=wire.failed,
        failures=tuple(
            BulkFailure(execution_id=one.execution_id, reason=one.reason, message=one.message)
            for one in wire.failures
        ),
    )


def signal_url(wire: execution_service_pb2.CreateSignalUrlResponse) -> SignalUrl:
    """A one-time address of a signal."""
    time = from_timestamp(wire.expire_time) if wire.HasField("expire_time") else None
    return SignalUrl(url=wire.url, expire_time=time)


def progress(wire: step_pb2.Progress) -> Progress:
    """How far an execution has got."""
    return Progress(
        execution_id=wire.execution_id,
        attempt=wire.attempt,
        time=from_timestamp(wire.time) if wire.HasField("time") else None,
        done=wire.done,
        total=wire.total,
        message=wire.message,
    )


def log_entry(wire: log_pb2.LogEntry) -> LogEntry:
    """Something an execution said."""
    return LogEntry(
        execution_id=wire.execution_id,
        sequence=wire.sequence,
        time=from_timestamp(wire.time) if wire.HasField("time") else None,
        severity=_SEVERITIES[wire.severity],
        message=wire.message,
        stream=_STREAMS[wire.stream],
        fields=from_struct(wire.fields),
    )


def _trigger(wire: execution_pb2.TriggerRef) -> TriggerRef:
    return TriggerRef(
        kind=_KINDS[wire.kind],
        trigger_id=wire.trigger_id,
        nominal_time=from_timestamp(wire.nominal_time) if wire.HasField("nominal_time") else None,
        event_id=wire.event_id,
        cause_execution_id=wire.cause_execution_id,
        event_sequence=wire.event_sequence,
        chain_depth=wire.chain_depth,
    )


def _progress(wire: execution_pb2.ExecutionProgress) -> ExecutionProgress:
    return ExecutionProgress(
        done=wire.done,
        total=wire.total,
        message=wire.message,
        time=from_timestamp(wire.time),
        attempt=wire.attempt,
    )


def _wait(wire: execution_pb2.ExecutionWait) -> ExecutionWait:
    return ExecutionWait(
        kind=_WAITS[wire.kind],
        until=from_timestamp(wire.until) if wire.HasField("until") else None,
        signal=wire.signal,
        message=wire.message,
    )
