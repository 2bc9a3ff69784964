"""Entries of a journal as programs make and read them: their form, their answers, the digests of arguments."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.journal import Place
from nightcrew.domain.step import MAX_NAME, Step, StepState
from nightcrew.domain.values import decode, encode, flaw
from nightcrew.programs.result import plain_value
from nightcrew.programs.step_error import revived


def entry(
    place: Place,
    begun: datetime,
    *,
    end: datetime | None = None,
    state: StepState = StepState.RUNNING,
    **more: Any,
) -> Step:
    """The entry of a place that is under way, unless `state` and `more` say otherwise."""
    return Step(
        key=place.key,
        branch=place.branch,
        name=place.name,
        ordinal=place.ordinal,
        kind=place.kind,
        digest=place.digest,
        state=state,
        start_time=begun,
        end_time=end,
        **more,
    )


def answer(step: Step) -> Any:
    """What a step that has ended gives: its result, or its exception."""
    if step.error is not None and step.state is StepState.FAILED:
        raise revived(step.error)
    return None if step.result is None else decode(step.result)


def digest_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Of a call's arguments; of what is no JSON the type alone is told apart."""
    if not args and not kwargs:
        return ""
    return hashed(
        encode([[_told(one) for one in args], {name: _told(one) for name, one in sorted(kwargs.items())}])
    )


def _told(value: Any) -> Any:
    try:
        plain = plain_value(value)
        if not flaw(plain):
            return plain
    except Exception:  # noqa: BLE001, S110 - a value that can't be shown is told by its type
        pass
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def hashed(text: str) -> str:
    """A digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def named(name: str, field: str) -> str:
    """The name itself.

    Raises:
        InvalidArgument: It is empty or a novel.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidArgument.of(field, f"must be text of 1 to {MAX_NAME} characters, is {len(name)} long")
    return name
