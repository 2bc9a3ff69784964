"""Log entries as messages."""

from typing import Final

from nightcrew.domain.log import LogEntry, LogStream, Severity
from nightcrew.gateway.grpc.convert.times import fill_time
from nightcrew.gateway.grpc.convert.values import fill_struct
from nightcrew.v1 import log_pb2

_SEVERITIES: Final = {one: log_pb2.LogEntry.Severity.Value(one.value) for one in Severity}
_STREAMS: Final = {one: log_pb2.LogEntry.Stream.Value(one.value) for one in LogStream}


def fill_log(out: log_pb2.LogEntry, entry: LogEntry) -> None:
    """Writes a log entry into an empty message."""
    out.execution_id = entry.execution_id
    out.sequence = entry.sequence
    out.severity = _SEVERITIES[entry.severity]
    out.stream = _STREAMS[entry.stream]
    out.message = entry.message
    fill_time(out.time, entry.time)
    if entry.fields:
        fill_struct(out.fields, entry.fields)
