"""A flow's failure as people understand it: the component's own error, not the wrappers around it."""

from typing import Final

from nightcrew.programs.errors import FlowError
from nightcrew.programs.failure import MAX_MESSAGE, MAX_TRACEBACK, shorten, trimmed

_WRAPPERS: Final = frozenset({"ComponentBuildError", "StreamingError", "ExceptionWithMessageError"})
_PREFIX: Final = "Error running graph: "


def flow_failure(error: BaseException) -> FlowError:
    """The failure of a graph's run, taken out of lfx's wrappers."""
    found: BaseException = error
    built = ""
    traceback = ""
    while True:
        name = type(found).__name__
        if name == "ComponentBuildError":
            built = str(found)
            traceback = str(getattr(found, "formatted_traceback", "")) or traceback
        wrapper = name in _WRAPPERS or str(found).startswith(_PREFIX)
        inner = found.__cause__ or (found.__context__ if wrapper else None)
        if not wrapper or inner is None:
            break
        found = inner
    message = built or str(found).removeprefix(_PREFIX)
    return FlowError(
        shorten(message, MAX_MESSAGE),
        type_name=type(found).__name__,
        traceback=shorten(traceback or trimmed(found), MAX_TRACEBACK),
    )
