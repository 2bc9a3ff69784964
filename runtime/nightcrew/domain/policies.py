"""Policies with their defaults filled in: what an ExecutionPolicy means where a field was left out."""

from typing import Final

from nightcrew.domain.overlap import effective_concurrency
from nightcrew.domain.retry import ResolvedRetry, resolve
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.policy import (
    DEFAULT_CANCEL_GRACE,
    DEFAULT_MAX_BACKLOG,
    ExecutionPolicy,
    OverlapPolicy,
)

NO_RETRY: Final = ResolvedRetry()


def max_concurrency(spec: AgentSpec) -> int:
    """How many runs the agent may have at once; 0 is no bound.

    Where it is unset the agent does one thing at a time, unless it says otherwise: by ALLOW, its own or that
    of one of its triggers, since counts are the agent's.
    """
    overlap = OverlapPolicy.ALLOW if spec.allows_overlap else spec.execution.overlap
    return effective_concurrency(spec.execution.max_concurrency, overlap)


def max_per_key(policy: ExecutionPolicy) -> int:
    """How many executions of one concurrency key may be under way at once."""
    return policy.max_concurrency_per_key or 1


def max_backlog(policy: ExecutionPolicy) -> int:
    """How many may wait; 0 is no bound."""
    return DEFAULT_MAX_BACKLOG if policy.max_backlog is None else policy.max_backlog


def cancel_grace(policy: ExecutionPolicy) -> float:
    """Seconds between a cancel and the kill."""
    return (DEFAULT_CANCEL_GRACE if policy.cancel_grace is None else policy.cancel_grace).total_seconds()


def retry_policy(policy: ExecutionPolicy) -> ResolvedRetry:
    """The retry policy; without one there is one attempt."""
    return NO_RETRY if policy.retry is None else resolve(policy.retry)
