"""What runtime and worker say to each other: JSON messages behind a length, and the forms of jobs and outcomes."""

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from nightcrew.domain.durations import format_instant, parse_instant
from nightcrew.domain.execution import ExecutionError, TriggerKind, TriggerRef
from nightcrew.domain.log import LogStream, NewLogEntry, Severity
from nightcrew.domain.progress import Progress
from nightcrew.domain.spec.program import Isolation, Program
from nightcrew.hosts.process.steps import step_from_json, step_to_json
from nightcrew.ports.host import (
    Cancelled,
    Continued,
    Failed,
    Interrupted,
    Job,
    NotLoaded,
    Outcome,
    Parked,
    ProgramSource,
    Succeeded,
    Suspended,
)

MAX_FRAME: Final = 64 * 1024 * 1024
"""Far above what a job or an outcome can be (values are at most 1 MiB): more means the pipe is spoilt."""

HELLO: Final = "hello"
RUN: Final = "run"
CANCEL: Final = "cancel"
LOG: Final = "log"
DONE: Final = "done"
BEAT: Final = "beat"
ASK: Final = "ask"
ANSWER: Final = "answer"
ARRIVED: Final = "arrived"
ALIVE: Final = "alive"
PROGRESS: Final = "progress"

_HEADER: Final = struct.Struct(">I")
_encoder: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class ProtocolError(Exception):
    """What came is no frame of ours."""


def pack(kind: str, **content: Any) -> bytes:
    """One message as a frame."""
    body = _encoder.encode({"kind": kind, **content}).encode()
    return _HEADER.pack(len(body)) + body


class Unpacker:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete with these bytes.

        Raises:
            ProtocolError: A frame is too long or holds no message.
        """
        held = self._held
        held += data
        at = 0
        while len(held) - at >= _HEADER.size:
            (length,) = _HEADER.unpack_from(held, at)
            if length > MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes; at most {MAX_FRAME} are right")
            end = at + _HEADER.size + length
            if len(held) < end:
                break
            yield _message(bytes(held[at + _HEADER.size : end]))
            at = end
        del held[:at]


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise ProtocolError(f"a frame that is no JSON: {error}") from error
    if not isinstance(message, dict) or "kind" not in message:
        raise ProtocolError("a frame without a kind")
    return message


def job_to_json(job: Job) -> dict[str, Any]:
    """What a worker needs of a job."""
    source, trigger = job.source, job.trigger
    return {
        "execution_id": job.execution_id,
        "lease": job.lease,
        "agent_id": job.agent_id,
        "attempt": job.attempt,
        "program": job.program.to_json(),
        "source": [
            source.kind,
            source.name,
            source.path,
            source.root,
            source.module,
            source.attribute,
            source.is_async,
        ],
        "input": job.input,
        "trigger": [
            trigger.kind.value,
            trigger.trigger_id,
            format_instant(trigger.nominal_time) if trigger.nominal_time else None,
            trigger.event_id,
            trigger.cause_execution_id,
        ],
        "labels": job.labels,
        "memory": job.memory,
        "memory_refusal": job.memory_refusal,
        "journal": [step_to_json(one) for one in job.journal],
        "cancelling": job.cancelling,
    }


def job_from_json(data: dict[str, Any]) -> Job:
    """The job of its JSON form."""
    kind, name, path, root, module, attribute, is_async = data["source"]
    trigger, trigger_id, nominal, event_id, cause = data["trigger"]
    return Job(
        execution_id=data["execution_id"],
        lease=data["lease"],
        agent_id=data["agent_id"],
        attempt=data["attempt"],
        program=Program.parse(data["program"]),
        source=ProgramSource(
            kind=kind, name=name, path=path, root=root, module=module, attribute=attribute, is_async=is_async
        ),
        input=data["input"],
        isolation=Isolation.POOL,
        trigger=TriggerRef(
            kind=TriggerKind(trigger),
            trigger_id=trigger_id,
            nominal_time=parse_instant(nominal) if nominal else None,
            event_id=event_id,
            cause_execution_id=cause,
        ),
        labels=data["labels"],
        memory=data["memory"],
        memory_refusal=data["memory_refusal"],
        journal=tuple(step_from_json(one) for one in data["journal"]),
        cancelling=data["cancelling"],
    )


def outcome_to_json(outcome: Outcome) -> list[Any]:
    """An outcome as a worker reports it (a worker never reports Abandoned)."""
    match outcome:
        case Succeeded(result, memory):
            return ["succeeded", result, memory]
        case Failed(error):
            return ["failed", _error_to_json(error)]
        case NotLoaded(error):
            return ["not_loaded", _error_to_json(error)]
        case Suspended(waits):
            return ["suspended", list(waits)]
        case Parked(message):
            return ["parked", message]
        case Continued(given, memory):
            return ["continued", given, memory]
        case Cancelled():
            return ["cancelled"]
        case Interrupted(reason, message):
            return ["interrupted", reason, message]
        case _:
            raise ProtocolError(f"a worker can't report {outcome!r}")


def outcome_from_json(data: Sequence[Any]) -> Outcome:
    """The outcome of its JSON form.

    Raises:
        ProtocolError: It is none.
    """
    match data:
        case ["succeeded", str(result), memory]:
            return Succeeded(result, memory)
        case ["failed", error]:
            return Failed(ExecutionError(**error))
        case ["not_loaded", error]:
            return NotLoaded(ExecutionError(**error))
        case ["suspended", [*waits]]:
            return Suspended(tuple(waits))
        case ["parked", str(message)]:
            return Parked(message)
        case ["continued", str(given), memory]:
            return Continued(given, memory)
        case ["cancelled"]:
            return Cancelled()
        case ["interrupted", str(reason), str(message)]:
            return Interrupted(reason, message)
        case _:
            raise ProtocolError(f"no outcome: {data!r}")


def _error_to_json(error: ExecutionError) -> dict[str, Any]:
    return {
        "type": error.type,
        "message": error.message,
        "traceback": error.traceback,
        "retryable": error.retryable,
    }


def entry_to_json(entry: NewLogEntry) -> list[Any]:
    """A log entry's JSON form."""
    return [
        format_instant(entry.time),
        entry.message,
        entry.severity.value,
        entry.stream.value,
        entry.fields,
    ]


def entry_from_json(data: Sequence[Any]) -> NewLogEntry:
    """The log entry of its JSON form."""
    time, message, severity, stream, fields = data
    return NewLogEntry(
        time=parse_instant(time),
        message=message,
        severity=Severity(severity),
        stream=LogStream(stream),
        fields=fields,
    )


def progress_to_json(progress: Progress) -> list[Any]:
    """A progress's JSON form."""
    return [progress.done, progress.total, progress.message, format_instant(progress.time)]


def progress_from_json(data: Sequence[Any]) -> Progress:
    """The progress of its JSON form."""
    done, total, message, time = data
    return Progress(done=done, total=total, message=message, time=parse_instant(time))
