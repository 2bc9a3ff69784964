"""Policies with their defaults filled in: what an ExecutionPolicy means where a field was left out."""

from nightcrew.domain.spec.policy import (
    DEFAULT_CANCEL_GRACE,
    DEFAULT_MAX_BACKLOG,
    DEFAULT_MAX_CONCURRENCY,
    ExecutionPolicy,
    OverlapPolicy,
    RetryPolicy,
)

_NO_RETRY = RetryPolicy()


def max_concurrency(policy: ExecutionPolicy) -> int:
    """How many runs at once; 0 is no bound. ALLOW with nothing said has none (semantics.md, Overlap)."""
    if policy.max_concurrency is not None:
        return policy.max_concurrency
    return 0 if policy.overlap is OverlapPolicy.ALLOW else DEFAULT_MAX_CONCURRENCY


def max_backlog(policy: ExecutionPolicy) -> int:
    """How many may wait; 0 is no bound."""
    return DEFAULT_MAX_BACKLOG if policy.max_backlog is None else policy.max_backlog


def cancel_grace(policy: ExecutionPolicy) -> float:
    """Seconds between a cancel and the kill."""
    return (DEFAULT_CANCEL_GRACE if policy.cancel_grace is None else policy.cancel_grace).total_seconds()


def retry_policy(policy: ExecutionPolicy) -> RetryPolicy:
    """The retry policy; without one there is one attempt."""
    return policy.retry or _NO_RETRY
