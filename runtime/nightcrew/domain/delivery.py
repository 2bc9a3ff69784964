"""Deliveries of outbound hooks: what an answer means for one, when it is tried again, when it is given up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from nightcrew.domain.spec.outbound import OutboundHook

JITTER: Final = 0.2
"""A wait is longer by up to this part of it, so that what failed together does not come back together."""
MAX_REASON: Final = 1024
_GOOD: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_GONE: Final = 410


class DeliveryState(StrEnum):
    """Where a delivery stands that was not taken at once; one that was taken has no row any more."""

    RETRYING = "STATE_RETRYING"
    DEAD = "STATE_DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An event that a hook could not deliver yet.

    Attributes:
        hook: The hook's name.
        sequence: The event's.
        event_type: The event's.
        attempts: How many there were.
        next_attempt_time: When it is tried again; None when it is dead.
        last_attempt_time: When it was tried last.
        status: Of the last answer; 0 when there was none.
        reason: Why the last attempt failed.
        create_time: When it was tried first.
    """

    hook: str
    sequence: int
    event_type: str
    state: DeliveryState
    attempts: int
    last_attempt_time: datetime
    create_time: datetime
    next_attempt_time: datetime | None = None
    status: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookState:
    """How far a hook has got.

    Attributes:
        cursor: Events up to this sequence are delivered, of no concern, or have a delivery of their own.
        url: As it was configured when the hook was disabled or made: with another one it is another receiver.
        disabled: Why it sends nothing any more; empty if it does.
    """

    name: str
    cursor: int
    url: str
    create_time: datetime
    disabled: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """How an attempt ended.

    Attributes:
        status: Of the answer; 0 when none came.
        reason: Why it is no success; what the answer's status says needs no words.
        rest: Seconds that the receiver wants to be left alone.
    """

    status: int = 0
    reason: str = ""
    rest: float = 0.0

    @property
    def taken(self) -> bool:
        """Whether the receiver has the event."""
        return self.status in _GOOD

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more, for ever."""
        return self.status == _GONE


def first(hook: OutboundHook, sequence: int, event_type: str, *, now: datetime) -> Delivery:
    """A delivery that is about to be tried for the first time."""
    return Delivery(
        hook=hook.name,
        sequence=sequence,
        event_type=event_type,
        state=DeliveryState.RETRYING,
        attempts=0,
        last_attempt_time=now,
        create_time=now,
    )


def judged(
    delivery: Delivery, tried: Tried, hook: OutboundHook, *, now: datetime, random: float
) -> Delivery | None:
    """The delivery after an attempt; None if it was taken.

    Args:
        delivery: As it was before.
        tried: How the attempt ended.
        hook: Its schedule and how many attempts there are.
        now: The wall clock.
        random: In [0, 1), for the jitter.
    """
    if tried.taken:
        return None
    attempts = delivery.attempts + 1
    after = replace(
        delivery,
        attempts=attempts,
        last_attempt_time=now,
        status=tried.status,
        reason=_why(tried)[:MAX_REASON],
    )
    if tried.gone or attempts >= hook.attempts:
        return replace(after, state=DeliveryState.DEAD, next_attempt_time=None)
    wait = hook.schedule[min(attempts, len(hook.schedule)) - 1].total_seconds()
    seconds = max(wait * (1 + JITTER * random), tried.rest)
    return replace(after, next_attempt_time=now + timedelta(seconds=seconds))


def _why(tried: Tried) -> str:
    if tried.gone:
        return "the receiver answered 410: it is gone for ever"
    if tried.status in _REDIRECT:
        return f"the receiver answered {tried.status}, a redirect, which is not followed: give its new URL"
    said = f"the receiver answered {tried.status}" if tried.status else ""
    return f"{said}: {tried.reason}" if said and tried.reason else said or tried.reason
