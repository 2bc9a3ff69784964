"""An event trigger's CEL filter: compiled once, with bounds, and evaluated over an event's attributes and data.

The language is CEL (cel.dev) over `event.type`, `.source`, `.subject`, `.id`, `.time`, `.data` and `.extensions`,
each a variable with its type, so that a misspelt one is a fault of the filter. Its functions cost no more than the
event is long, but three things multiply: a comprehension evaluates its body up to 10,000 times (the library's own
bound), `+` copies texts and lists, and a pattern that comes from an event may be as long as the event. So the two
first exclude each other and look at small events only, and a pattern must stand in the filter.
"""

from functools import cached_property, lru_cache
from typing import Any, Final

from nightcrew.domain.cel_text import cel_value, check_bounds, placed, said
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import Event

MAX_FILTER: Final = 1024
LARGE: Final = 64 * 1024
"""A filter with a comprehension or a `+` is not evaluated over events with more data than this, in characters,"""
WORK: Final = 4_000_000
"""nor over more than this divided by its own length: the worst that could be written takes a second."""

_COMPILED: Final = 4096


class FilterError(Exception):
    """A filter could not be evaluated over an event: that is no match."""


class Facts:
    """An event as filters see it; made once for all filters that look at it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    @property
    def size(self) -> int:
        """The characters of its data."""
        return len(self._event.data)

    @cached_property
    def activation(self) -> Any:
        """The library's form of it; 3 µs a filter less than a dictionary each time."""
        event = self._event
        return _environment().Activation(
            {
                "event.type": event.type,
                "event.source": event.source,
                "event.subject": event.subject,
                "event.id": event.id,
                "event.time": event.time,
                "event.data": cel_value(event.data),
                "event.extensions": dict(event.extensions),
            }
        )


class EventFilter:
    """A compiled filter.

    Args:
        expression: The library's form of it.
        most: The size of the largest event that it sees; 0 is no bound.
    """

    def __init__(self, expression: Any, *, most: int = 0) -> None:
        self._expression = expression
        self._most = most

    def holds(self, facts: Facts) -> bool:
        """Whether the filter is true of an event.

        Raises:
            FilterError: It can't be told; says why.
        """
        if self._most and facts.size > self._most:
            raise FilterError(
                f"with its comprehension or '+' this filter sees data of at most {self._most} characters"
            )
        try:
            value = self._expression.eval(facts.activation)
            result = value.value()
        except Exception as error:
            # The library raises RuntimeError for what it refuses and others for values that it can't take.
            raise FilterError(said(error)) from error
        if result is True or result is False:
            return bool(result)
        raise FilterError(
            said(result)
            if value.type().name() == "ERROR"
            else f"it gives {value.type().name()}, not true or false"
        )


@lru_cache(maxsize=_COMPILED)
def compile_filter(text: str) -> EventFilter:
    """The filter of a text.

    Raises:
        InvalidArgument: It has a fault; names `filter` and the position in it, from 0.
    """
    if len(text) > MAX_FILTER:
        raise _fault(f"must be at most {MAX_FILTER} characters, is {len(text)}")
    multiplies = check_bounds(text, field="filter", noun="filter")
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:
        raise _fault(placed(str(error), text)) from None
    given = expression.return_type().name()
    if given not in {"BOOL", "DYN"}:
        raise _fault(f"at position 0: must be true or false, gives {given}")
    return EventFilter(expression, most=min(LARGE, WORK // len(text)) if multiplies else 0)


@lru_cache(maxsize=1)
def _environment() -> Any:
    # Loaded when the first filter is: most runtimes and all workers have none.
    from cel_expr_python import cel  # noqa: PLC0415

    text = cel.Type.STRING
    return cel.NewEnv(
        variables={
            "event.type": text,
            "event.source": text,
            "event.subject": text,
            "event.id": text,
            "event.time": cel.Type.TIMESTAMP,
            "event.data": cel.Type.DYN,
            "event.extensions": cel.Type.Map(text, text),
        }
    )


def _fault(why: str) -> InvalidArgument:
    return InvalidArgument.of("filter", why)
