"""From an exception to an ExecutionError: its type, message and a traceback without our own frames."""

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

from nightcrew.agent.errors import NonRetryable
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.execution import ExecutionError
from nightcrew.programs.errors import FlowError, HttpError, InvalidInput, LoadError

MAX_MESSAGE: Final = 8 * 1024
MAX_TRACEBACK: Final = 64 * 1024
_OWN: Final = str(Path(__file__).resolve().parent.parent)


def execution_error(error: BaseException) -> ExecutionError:
    """The exception as an execution carries it; never raises, whatever `str(error)` does."""
    if isinstance(error, (LoadError, FlowError, HttpError)):
        return error.to_execution_error()
    if isinstance(error, InvalidInput):
        return ExecutionError(type=error.code, message=error.message, retryable=False)
    return ExecutionError(
        type=type(error).__name__,
        message=shorten(_text(error), MAX_MESSAGE),
        traceback=trimmed(error),
        retryable=not isinstance(error, NonRetryable),
    )


def trimmed(error: BaseException) -> str:
    """The traceback as Python prints it, from the program's first frame on, bounded."""
    try:
        shown = traceback.TracebackException(type(error), error, _skip_own(error.__traceback__), compact=True)
        text = "".join(shown.format())
    except Exception as fault:  # noqa: BLE001 - a program's exception may raise from its own __str__
        text = f"{type(error).__name__} (its traceback can't be printed: {type(fault).__name__})\n"
    return shorten(text, MAX_TRACEBACK)


def shorten(text: str, limit: int) -> str:
    """The text itself, or its beginning and end with a mark between when it is longer than `limit`.

    Lone surrogates are replaced: what is kept must be Unicode.
    """
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def line_in(error: BaseException, path: str) -> int:
    """The last line of the file `path` that the exception went through, 0 if none."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 0
    found = 0
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == path:
            found = line
    return found


def _text(error: BaseException) -> str:
    if isinstance(error, NightcrewError):
        return error.message
    try:
        return str(error)
    except Exception as fault:  # noqa: BLE001 - see trimmed
        return f"(its message can't be printed: {type(fault).__name__})"


def _skip_own(where: TracebackType | None) -> TracebackType | None:
    first = where
    while where is not None and where.tb_frame.f_code.co_filename.startswith(_OWN):
        where = where.tb_next
    # An error raised by our own code on a program's behalf keeps its frames: something must be shown.
    return where if where is not None else first
