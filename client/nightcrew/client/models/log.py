"""What an execution said: log entries, printed lines and streamed tokens."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How grave a log entry is."""

    UNSPECIFIED = "SEVERITY_UNSPECIFIED"
    DEBUG = "SEVERITY_DEBUG"
    INFO = "SEVERITY_INFO"
    WARNING = "SEVERITY_WARNING"
    ERROR = "SEVERITY_ERROR"
    CRITICAL = "SEVERITY_CRITICAL"


class LogStream(StrEnum):
    """Where a log entry came from."""

    UNSPECIFIED = "STREAM_UNSPECIFIED"
    LOG = "STREAM_LOG"
    STDOUT = "STREAM_STDOUT"
    STDERR = "STREAM_STDERR"
    TOKEN = "STREAM_TOKEN"  # noqa: S105 - a token of a language model, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One entry; `message` is a printed line without its newline, or a token as it came."""

    execution_id: str
    sequence: int
    time: datetime | None
    severity: Severity
    message: str
    stream: LogStream
    fields: dict[str, Any] = field(default_factory=dict)
