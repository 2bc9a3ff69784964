"""A step's exception as its journal keeps it, and the same exception made again from there."""

import sys
from typing import Final

from nightcrew.agent.errors import CallFailed, NonRetryable, StepFailed
from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.step import StepError
from nightcrew.domain.values import decode, encode, flaw
from nightcrew.programs.failure import MAX_MESSAGE, shorten

_MAX_ARGUMENTS: Final = 64 * 1024
CALL_FAILED: Final = (CallFailed.__module__, CallFailed.__name__)
TIMED_OUT: Final = ("builtins", "TimeoutError")


def step_error(error: Exception) -> StepError:
    """The exception as the journal keeps it; never raises, whatever `str(error)` does."""
    kind = type(error)
    try:
        message = error.message if isinstance(error, NightcrewError) else str(error)
    except Exception as fault:  # noqa: BLE001 - a program's exception may raise from its own __str__
        message = f"(its message can't be printed: {type(fault).__name__})"
    kept = StepError(
        type=kind.__name__,
        message=shorten(message, MAX_MESSAGE),
        module=kind.__module__ if "." not in kind.__qualname__ else "",
        arguments=_arguments(error),
        retryable=not isinstance(error, NonRetryable),
    )
    return (
        kept
        if _made(kept) is not None
        else StepError(type=kept.type, message=kept.message, retryable=kept.retryable)
    )


def revived(error: StepError) -> Exception:
    """The exception that a program meets when a step failed: of the same type and arguments where they can be kept.

    It is raised the first time too, so that a program does the same when the journal answers.
    """
    made = _made(error)
    if made is not None:
        return made
    text = f"{error.type}: {error.message}"
    return StepFailed(text) if error.retryable else _FinalStepFailed(text)


class _FinalStepFailed(StepFailed, NonRetryable):
    """A StepFailed that was NonRetryable."""


def failed(where: tuple[str, str], message: str, *, retryable: bool = True) -> StepError:
    """The error of a step that the runtime itself ended, as an exception of one argument."""
    module, name = where
    text = shorten(message, MAX_MESSAGE)
    return StepError(type=name, message=text, module=module, arguments=encode([text]), retryable=retryable)


def _arguments(error: Exception) -> str:
    try:
        if flaw(list(error.args)):
            return ""
        text = encode(list(error.args))
    except Exception:  # noqa: BLE001 - arguments may be anything; without them the type alone is kept
        return ""
    return text if len(text) <= _MAX_ARGUMENTS else ""


def _made(error: StepError) -> Exception | None:
    """The exception made from its class, which must have been loaded by the program, or None where that fails."""
    if not error.module or not error.arguments:
        return None
    kind = getattr(sys.modules.get(error.module), error.type, None)
    if not isinstance(kind, type) or not issubclass(kind, Exception):
        return None
    try:
        made = kind(*decode(error.arguments))
        told = made.message if isinstance(made, NightcrewError) else str(made)
        return made if shorten(told, MAX_MESSAGE) == error.message else None
    except Exception:  # noqa: BLE001 - a constructor may want other arguments than it hands on
        return None
