"""The runtime's own log: structlog to stderr, as text for people or JSON for machines, stdlib lines included."""

import logging
import sys
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nightcrew.domain.errors import InvalidArgument
from nightcrew.system.capture import OutsideExecutions, StreamRouter, capture_structlog

LogFormat = Literal["console", "json"]
LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def configure_logging(
    *, log_format: LogFormat = "console", level: str = "info", stream: TextIO | None = None
) -> None:
    """Configures structlog and the root logger of this process; calling it again replaces the earlier set-up.

    Args:
        log_format: `console` (coloured on a terminal) or `json`, one object a line.
        level: debug, info, warning, error or critical.
        stream: Where to; stderr by default.

    Raises:
        InvalidArgument: No such format or level.
    """
    if log_format not in {"console", "json"}:
        raise InvalidArgument.of("log_format", f"must be console or json, not {log_format!r}")
    if level.lower() not in LEVELS:
        raise InvalidArgument.of("log_level", f"must be one of {', '.join(LEVELS)}, not {level!r}")
    number = logging.getLevelNamesMapping()[level.upper()]
    target = stream or (sys.stderr.original if isinstance(sys.stderr, StreamRouter) else sys.stderr)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    own: list[Processor] = [one for one in shared if not isinstance(one, structlog.stdlib.ExtraAdder)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            capture_structlog,
            *own,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    handler = _Own(target)
    handler.setLevel(number)
    handler.addFilter(OutsideExecutions())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_copies],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_tail(log_format, target),
            ],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Own)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(min(number, logging.INFO))
    # Below WARNING asyncio tells of its selector and of every subprocess.
    logging.getLogger("asyncio").setLevel(max(number, logging.WARNING))


def _without_copies(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Another handler's formatter leaves these on the record, and ExtraAdder takes them for fields.
    event.pop("message", None)
    event.pop("asctime", None)
    return event


class _Own(logging.StreamHandler[Any]):
    """The one handler that `configure_logging` adds, so that it can be replaced."""


def _tail(log_format: LogFormat, target: TextIO) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=repr),
        ]
    colors = hasattr(target, "isatty") and target.isatty()
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
