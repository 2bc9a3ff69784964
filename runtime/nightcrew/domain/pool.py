"""A pool's places and its rate: whether another execution may start now, and if not, when.

The rate is GCRA (ITU-T I.371, the virtual scheduling algorithm): one instant is all there is to remember, the
theoretical arrival time, up to which what was given is paid for.
"""

from dataclasses import dataclass
from typing import Final

JUMP: Final = 5_000_000
"""Microseconds by which an instant may lie too far ahead before the clock must have been set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What agents share.

    Attributes:
        concurrency: How many executions may run at once; 0 is no bound.
        interval: Microseconds from one start to the next; 0 is no rate.
        burst: How many may start at once after a rest.
    """

    name: str
    concurrency: int = 0
    interval: int = 0
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Room:
    """Whether there is room.

    Attributes:
        free: There is.
        again: When the rate lets the next one start, in microseconds since 1970; None where it takes the end of
            another.
    """

    free: bool
    again: int | None = None


FREE: Final = Room(free=True)
FULL: Final = Room(free=False)


def room(pool: Pool, *, running: int, paid_until: int, now: int) -> Room:
    """Whether one more may start.

    Args:
        pool: The pool.
        running: How many that take from it are RUNNING.
        paid_until: The theoretical arrival time, in microseconds since 1970; 0 if nothing has started yet.
        now: The wall clock, in the same.
    """
    if pool.concurrency and running >= pool.concurrency:
        return FULL
    if not pool.interval:
        return FREE
    again = _sane(pool, paid_until, now) - (pool.burst - 1) * pool.interval
    return FREE if again <= now else Room(free=False, again=again)


def pay(pool: Pool, *, paid_until: int, now: int) -> int:
    """The theoretical arrival time after one more has started now."""
    return max(_sane(pool, paid_until, now), now) + pool.interval


def _sane(pool: Pool, paid_until: int, now: int) -> int:
    """What can only come from a clock that was set back, or from a slower rate before, lets one start and no more."""
    most = now + pool.burst * pool.interval
    return paid_until if paid_until <= most + JUMP else most - pool.interval
