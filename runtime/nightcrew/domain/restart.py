"""Restarts after OTP's rules: when a component comes back, after which wait, and when its supervisor gives up.

Source: erlang.org, `supervisor` (restart intensity and restart types); semantics.md, Supervision.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.policy import RestartMode, RestartPolicy

DEFAULT_MODE: Final = RestartMode.PERMANENT
DEFAULT_INTENSITY: Final = 5
DEFAULT_PERIOD: Final = 60.0
DEFAULT_INITIAL_BACKOFF: Final = 1.0
DEFAULT_MAX_BACKOFF: Final = 30.0
MAX_INTENSITY: Final = 10_000
"""A history never holds more entries than the intensity, so this bounds its memory."""


@dataclass(frozen=True, slots=True)
class RestartRule:
    """A restart policy with every default filled in.

    Attributes:
        mode: Never UNSPECIFIED.
        intensity: How many restarts within `period` are allowed; 0 never restarts.
        period: Seconds.
        initial_backoff: Seconds before the first restart of a period; each further one doubles it.
        max_backoff: Seconds that no wait exceeds.
    """

    mode: RestartMode = DEFAULT_MODE
    intensity: int = DEFAULT_INTENSITY
    period: float = DEFAULT_PERIOD
    initial_backoff: float = DEFAULT_INITIAL_BACKOFF
    max_backoff: float = DEFAULT_MAX_BACKOFF


@dataclass(frozen=True, slots=True)
class RestartAfter:
    """Restart after `delay` seconds, and hand `history` to the next decision."""

    delay: float
    history: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not restart: `restarts` would have been needed within the period; escalate."""

    restarts: int


Decision: TypeAlias = GiveUp | RestartAfter


def should_restart(mode: RestartMode, abnormal: bool) -> bool:  # noqa: FBT001 - the two columns of one table
    """Whether an end is followed by a restart at all; what is UNSPECIFIED is PERMANENT."""
    match mode:
        case RestartMode.TEMPORARY:
            return False
        case RestartMode.TRANSIENT:
            return abnormal
        case _:
            return True


def decide(history: tuple[float, ...], now: float, rule: RestartRule) -> Decision:
    """What follows a failure at `now`.

    Args:
        history: The monotonic times of the failures before, as the last decision gave them; () at first.
        now: The monotonic time of this failure; a restart that fails is a failure too.
        rule: The resolved policy.
    """
    edge = now - rule.period
    kept = (*(t for t in history if t >= edge), now)
    if len(kept) > rule.intensity:
        return GiveUp(len(kept))
    return RestartAfter(backoff(rule, len(kept)), kept)


def backoff(rule: RestartRule, restart: int) -> float:
    """Seconds before the `restart`-th restart (from 1) within a period."""
    # 2**1023 is the last power that a float holds; any wait has met its cap long before.
    return min(rule.initial_backoff * 2.0 ** min(restart - 1, 1023), rule.max_backoff)


def resolve(policy: RestartPolicy) -> RestartRule:
    """The policy with its defaults.

    A first wait alone that is longer than the default cap lifts the cap, and a cap alone that is shorter
    than the default first wait lowers that.

    Raises:
        InvalidArgument: On `intensity`, `period`, `initial_backoff` or `max_backoff`, relative to the policy;
            also when failing at once after every restart would still never reach the intensity.
    """
    rule = _filled(policy)
    if rule.intensity > MAX_INTENSITY:
        raise InvalidArgument.of("intensity", f"must be at most {MAX_INTENSITY}, is {rule.intensity}")
    if rule.period <= 0:
        raise InvalidArgument.of("period", "must be longer than 0s")
    if rule.initial_backoff < 0:
        raise InvalidArgument.of("initial_backoff", "must not be negative")
    if rule.max_backoff < rule.initial_backoff:
        raise InvalidArgument.of(
            "max_backoff",
            f"must be at least initial_backoff ({rule.initial_backoff:g}s), is {rule.max_backoff:g}s",
        )
    shortest = sum(backoff(rule, n) for n in range(1, rule.intensity + 1))
    if shortest > rule.period:
        raise InvalidArgument.of(
            "intensity",
            f"can never be reached: {rule.intensity} restarts with a back-off of {rule.initial_backoff:g}s to"
            f" {rule.max_backoff:g}s take at least {shortest:g}s, and period is {rule.period:g}s; lower"
            " intensity or the back-off, or lengthen period",
        )
    return rule


def _filled(policy: RestartPolicy) -> RestartRule:
    first, cap = _seconds(policy.initial_backoff), _seconds(policy.max_backoff)
    if first is None:
        first = DEFAULT_INITIAL_BACKOFF if cap is None else min(DEFAULT_INITIAL_BACKOFF, max(cap, 0.0))
    if cap is None:
        cap = max(DEFAULT_MAX_BACKOFF, first)
    period = _seconds(policy.period)
    return RestartRule(
        mode=DEFAULT_MODE if policy.mode is RestartMode.UNSPECIFIED else policy.mode,
        intensity=DEFAULT_INTENSITY if policy.intensity is None else policy.intensity,
        period=DEFAULT_PERIOD if period is None else period,
        initial_backoff=first,
        max_backoff=cap,
    )


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()
