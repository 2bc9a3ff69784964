"""Retries of a failed attempt: whether there is another one, and after which wait (semantics.md, Retry)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.spec.policy import RetryPolicy

DEFAULT_MAX_ATTEMPTS: Final = 1
DEFAULT_INITIAL_BACKOFF: Final = timedelta(seconds=1)
DEFAULT_MULTIPLIER: Final = 2.0
DEFAULT_MAX_BACKOFF: Final = timedelta(seconds=60)

NEVER_RETRIED: Final = frozenset(
    {"NonRetryable", "result_not_json", "result_too_large", "crash_loop", "program_load"}
)
"""Errors that end an execution whatever its policy says: the author said so, the effect has happened
already, or the runtime itself has given up."""


@dataclass(frozen=True, slots=True)
class ResolvedRetry:
    """A retry policy with every default filled in."""

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    initial_backoff: timedelta = DEFAULT_INITIAL_BACKOFF
    multiplier: float = DEFAULT_MULTIPLIER
    max_backoff: timedelta = DEFAULT_MAX_BACKOFF
    jitter: bool = True
    non_retryable: frozenset[str] = frozenset()


def resolve(policy: RetryPolicy | None) -> ResolvedRetry:
    """The policy with its defaults.

    A first wait alone that is longer than the default cap lifts the cap, and a cap alone that is shorter
    than the default first wait lowers that.

    Raises:
        InvalidArgument: On `initial_backoff`, `max_backoff` or `non_retryable[i]`, relative to the policy.
    """
    if policy is None:
        return ResolvedRetry()
    first, cap = policy.initial_backoff, policy.max_backoff
    if first is None:
        first = (
            DEFAULT_INITIAL_BACKOFF if cap is None else min(DEFAULT_INITIAL_BACKOFF, max(cap, timedelta(0)))
        )
    if cap is None:
        cap = max(DEFAULT_MAX_BACKOFF, first)
    _check(policy, first, cap)
    return ResolvedRetry(
        max_attempts=DEFAULT_MAX_ATTEMPTS if policy.max_attempts is None else policy.max_attempts,
        initial_backoff=first,
        multiplier=DEFAULT_MULTIPLIER if policy.backoff_multiplier is None else policy.backoff_multiplier,
        max_backoff=cap,
        jitter=True if policy.jitter is None else policy.jitter,
        non_retryable=frozenset(policy.non_retryable),
    )


def may_retry(policy: ResolvedRetry, attempt: int, error: ExecutionError) -> bool:
    """Whether another attempt follows.

    Args:
        policy: The resolved policy.
        attempt: The number of the attempt that failed, from 1; interruptions are no attempts.
        error: Why it failed.
    """
    return (
        attempt < policy.max_attempts
        and error.retryable
        and error.type not in policy.non_retryable
        and error.type not in NEVER_RETRIED
    )


def backoff(policy: ResolvedRetry, attempt: int, random: float) -> timedelta:
    """The wait after the attempt of that number has failed.

    Args:
        policy: The resolved policy.
        attempt: From 1.
        random: A number in [0, 1); with jitter the wait is that part of the whole (full jitter: the AWS
            Architecture Blog, "Exponential Backoff And Jitter").
    """
    cap = policy.max_backoff.total_seconds()
    try:
        whole = min(policy.initial_backoff.total_seconds() * policy.multiplier ** (attempt - 1), cap)
    except OverflowError:  # the power left what a float holds, so it passed any cap
        whole = cap if policy.initial_backoff else 0.0
    return timedelta(seconds=whole * random if policy.jitter else whole)


def _check(policy: RetryPolicy, first: timedelta, cap: timedelta) -> None:
    found = []
    if first < timedelta(0):
        found.append(FieldViolation("initial_backoff", "must not be negative"))
    if cap < first:
        found.append(
            FieldViolation(
                "max_backoff",
                f"must be at least initial_backoff ({first.total_seconds():g}s), is {cap.total_seconds():g}s",
            )
        )
    found += [
        FieldViolation(f"non_retryable[{i}]", "must be an error's type, such as ValueError")
        for i, name in enumerate(policy.non_retryable)
        if not name.strip()
    ]
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)
