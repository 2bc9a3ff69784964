"""What an execution said: log entries, printed lines and streamed tokens."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class LogStream(StrEnum):
    """Where an entry came from."""

    LOG = "STREAM_LOG"
    STDOUT = "STREAM_STDOUT"
    STDERR = "STREAM_STDERR"
    TOKEN = "STREAM_TOKEN"  # noqa: S105 - a language model's token


class Severity(StrEnum):
    """The level of an entry."""

    DEBUG = "SEVERITY_DEBUG"
    INFO = "SEVERITY_INFO"
    WARNING = "SEVERITY_WARNING"
    ERROR = "SEVERITY_ERROR"
    CRITICAL = "SEVERITY_CRITICAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogEntry:
    """An entry to be kept; the store gives it its sequence."""

    time: datetime
    message: str
    severity: Severity = Severity.INFO
    stream: LogStream = LogStream.LOG
    fields: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry(NewLogEntry):
    """An entry as it is kept; `sequence` grows within the store and orders an execution's entries."""

    execution_id: str
    sequence: int
