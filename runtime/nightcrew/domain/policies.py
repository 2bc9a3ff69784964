"""Policies with their defaults filled in: what an ExecutionPolicy means where a field was left out."""

from typing import Final

from nightcrew.domain.overlap import effective_concurrency
from nightcrew.domain.retry import ResolvedRetry, resolve
from nightcrew.domain.spec.policy import DEFAULT_CANCEL_GRACE, DEFAULT_MAX_BACKLOG, ExecutionPolicy

NO_RETRY: Final = ResolvedRetry()


def max_concurrency(policy: ExecutionPolicy) -> int:
    """How many runs the agent may have at once; 0 is no bound."""
    return effective_concurrency(policy.max_concurrency, policy.overlap)


def max_backlog(policy: ExecutionPolicy) -> int:
    """How many may wait; 0 is no bound."""
    return DEFAULT_MAX_BACKLOG if policy.max_backlog is None else policy.max_backlog


def cancel_grace(policy: ExecutionPolicy) -> float:
    """Seconds between a cancel and the kill."""
    return (DEFAULT_CANCEL_GRACE if policy.cancel_grace is None else policy.cancel_grace).total_seconds()


def retry_policy(policy: ExecutionPolicy) -> ResolvedRetry:
    """The retry policy; without one there is one attempt."""
    return NO_RETRY if policy.retry is None else resolve(policy.retry)
