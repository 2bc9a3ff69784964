"""Per-execution capture of logging, structlog and print: routed by a context variable, in threads too."""

import io
import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

from nightcrew.domain.log import LogStream, Severity
from nightcrew.system.recorder import Recorder

current: ContextVar[Recorder | None] = ContextVar("nightcrew_recorder", default=None)
"""The recorder of the execution whose code is running; None outside of executions."""

_SEVERITIES: Final = {
    "debug": Severity.DEBUG,
    "info": Severity.INFO,
    "warn": Severity.WARNING,
    "warning": Severity.WARNING,
    "error": Severity.ERROR,
    "exception": Severity.ERROR,
    "critical": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
}
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FORMATTER: Final = logging.Formatter()


def active() -> Recorder | None:
    """The recorder to write to now, or None when no execution is current (or it has ended)."""
    recorder = current.get()
    return recorder if recorder is not None and not recorder.closed else None


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Makes the recorder current in this context; tasks and threads that copy the context inherit it."""
    token = current.set(recorder)
    try:
        yield
    finally:
        current.reset(token)


class CaptureHandler(logging.Handler):
    """Takes the log records of executions; what belongs to none is left to the other handlers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Adds the record to the current execution's entries."""
        recorder = active()
        if recorder is None:
            return
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        fields["logger"] = record.name
        try:
            message = record.getMessage()
            if record.exc_info:
                fields["exception"] = _FORMATTER.formatException(record.exc_info)
        except Exception as error:  # noqa: BLE001 - a program's format string must not break its logging
            message = f"{record.msg!r} (could not be formatted: {type(error).__name__}: {error})"
        recorder.add(message, severity=_severity(record.levelno), fields=fields)


class OutsideExecutions(logging.Filter):
    """Lets a handler of the process itself see only records that belong to no execution."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the base class's signature
        """Whether no execution is current."""
        return active() is None


def capture_structlog(
    _logger: WrappedLogger, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: takes the events of executions, lets the others pass.

    Raises:
        DropEvent: The event was taken.
    """
    recorder = active()
    if recorder is None:
        return event
    _record(recorder, method, event)
    raise structlog.DropEvent


def adopt_structlog() -> None:
    """Puts the capture into a structlog configuration that somebody else has made (lfx makes one).

    The list is changed in place: loggers that are bound already hold the same one.
    """
    processors = structlog.get_config()["processors"]
    if capture_structlog not in processors:
        processors.insert(max(len(processors) - 1, 0), capture_structlog)


def logger_of(recorder: Recorder) -> FilteringBoundLogger:
    """`ctx.log`: writes to this recorder whatever the context and the configuration of structlog."""

    def record(_logger: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        _record(recorder, method, event)
        raise structlog.DropEvent

    bound: FilteringBoundLogger = structlog.wrap_logger(
        None,
        processors=[record],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        context_class=dict,
        cache_logger_on_first_use=False,
    )
    return bound


class StreamRouter(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: printed lines of executions are entries, others pass through."""

    def __init__(self, original: TextIO, stream: LogStream) -> None:
        self.original = original
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes to the current execution's entries, or to the original stream."""
        recorder = active()
        if recorder is None:
            return self.original.write(text)
        recorder.write(text, self._stream)
        return len(text)

    def flush(self) -> None:
        """Flushes the original; an execution's unfinished line waits for its end."""
        self.original.flush()

    def writable(self) -> bool:
        """True, as of any standard stream."""
        return True

    def isatty(self) -> bool:
        """What the original says, outside executions."""
        return active() is None and self.original.isatty()

    def fileno(self) -> int:
        """The original's descriptor: what is written there is the process's, not an execution's."""
        return self.original.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase has a plain attribute here
        """The original's encoding."""
        return self.original.encoding

    @property
    def buffer(self) -> Any:
        """The original's bytes: what is written there is the process's, not an execution's."""
        return self.original.buffer


def install() -> None:
    """Routes this process's root logger and standard streams; a second call does nothing."""
    root = logging.getLogger()
    if not any(isinstance(handler, CaptureHandler) for handler in root.handlers):
        root.addHandler(CaptureHandler())
    # The root lets INFO through for executions; the process's own handlers have levels of their own.
    if root.level > logging.INFO or root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    if not isinstance(sys.stdout, StreamRouter):
        sys.stdout = StreamRouter(sys.stdout, LogStream.STDOUT)
    if not isinstance(sys.stderr, StreamRouter):
        sys.stderr = StreamRouter(sys.stderr, LogStream.STDERR)


def uninstall() -> None:
    """Takes the routes away again (an embedded runtime that has ended)."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, CaptureHandler)]:
        root.removeHandler(handler)
    if isinstance(sys.stdout, StreamRouter):
        sys.stdout = sys.stdout.original
    if isinstance(sys.stderr, StreamRouter):
        sys.stderr = sys.stderr.original


def _record(recorder: Recorder, method: str, event: Mapping[str, Any]) -> None:
    fields = dict(event)
    message = fields.pop("event", "")
    level = fields.pop("level", method)
    fields.pop("timestamp", None)
    exc_info = fields.pop("exc_info", None)
    if exc_info:
        fields["exception"] = _exception(exc_info)
    recorder.add(
        message if isinstance(message, str) else repr(message),
        severity=_SEVERITIES.get(str(level).lower(), Severity.INFO),
        fields=fields,
    )


def _exception(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    return _FORMATTER.formatException(exc_info) if exc_info[1] is not None else ""


def _severity(level: int) -> Severity:
    if level >= logging.CRITICAL:
        return Severity.CRITICAL
    if level >= logging.ERROR:
        return Severity.ERROR
    if level >= logging.WARNING:
        return Severity.WARNING
    return Severity.INFO if level >= logging.INFO else Severity.DEBUG
