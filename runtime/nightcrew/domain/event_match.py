"""Which events an event trigger matches: type, source, subject, filter, and never the agent's own unless it says so."""

import re
from typing import Final

from nightcrew.domain.broker.url import EXTENSION, broker_url
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.event import EXECUTION_EVENTS, OWN_PREFIX, Event
from nightcrew.domain.event_filter import Facts, compile_filter
from nightcrew.domain.execution import FINAL
from nightcrew.domain.spec.trigger import EventMatch

OUTCOMES: Final = frozenset(EXECUTION_EVENTS[state] for state in FINAL)
"""The only events of the runtime's own that trigger (semantics.md, Events)."""
ANY_TYPE: Final = "*"

MAX_TYPES: Final = 64
MAX_TEXT: Final = 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def may_trigger(kind: str) -> bool:
    """Whether an event of this type can trigger at all."""
    return kind in OUTCOMES or not kind.startswith(OWN_PREFIX)


def types_of(match: EventMatch) -> tuple[str, ...]:
    """Its types, exact ones and prefixes with `*` at their ends; none given is any."""
    return match.types or (ANY_TYPE,)


def fits(match: EventMatch, event: Event, facts: Facts, *, agent_id: str) -> bool:
    """Whether a trigger of that agent matches an event that may trigger.

    Raises:
        FilterError: The filter can't be evaluated over it: that is no match.
    """
    return (
        (match.allow_self or event.agent_id != agent_id)
        and any(_fits_type(one, event.type) for one in types_of(match))
        and match.source in {"", event.source}
        and match.subject in {"", event.subject}
        and (not match.source_url or event.extensions.get(EXTENSION) == broker_url(match.source_url).public)
        and (not match.filter or compile_filter(match.filter).holds(facts))
    )


def _fits_type(pattern: str, kind: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def check_match(match: EventMatch) -> None:
    """Whether a trigger can match anything, and its filter can be evaluated.

    Raises:
        InvalidArgument: Names every field that is wrong: `types[1]`, `source`, `subject`, `filter`.
    """
    found = [
        FieldViolation(f"types[{index}]", why)
        for index, one in enumerate(match.types)
        if (why := _type_fault(one))
    ]
    if len(match.types) > MAX_TYPES:
        found.append(FieldViolation("types", f"must be at most {MAX_TYPES}, are {len(match.types)}"))
    for name, text in (("source", match.source), ("subject", match.subject)):
        if len(text) > MAX_TEXT or _CONTROL.search(text):
            found.append(
                FieldViolation(
                    name, f"must be at most {MAX_TEXT} characters, none of them control characters"
                )
            )
    if match.filter:
        try:
            compile_filter(match.filter)
        except InvalidArgument as error:
            found += error.violations
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def _type_fault(pattern: str) -> str:
    if not pattern:
        return "must not be empty; no types at all, or '*', is any type"
    if len(pattern) > MAX_TEXT or _CONTROL.search(pattern):
        return f"must be at most {MAX_TEXT} characters, none of them control characters"
    if "*" in pattern[:-1]:
        return f"may have a '*' at its end only, has one at position {pattern.index('*')}"
    if pattern.startswith(OWN_PREFIX) and not any(_fits_type(pattern, kind) for kind in OUTCOMES):
        return f"never fires: of the runtime's own events only {', '.join(sorted(OUTCOMES))} do"
    return ""
