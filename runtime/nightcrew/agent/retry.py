"""Retry and Restart as authors write them: plain arguments that become the domain's policies."""

from collections.abc import Sequence

from nightcrew.agent.arguments import Span, build, choice, span
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.policy import RestartMode, RestartPolicy, RetryPolicy


class Retry:
    """How failed attempts are tried again: after `initial_backoff × backoff_multiplier^(n−1)`, capped.

    Args:
        max_attempts: Attempts in all, the first included.
        initial_backoff: Seconds (or a timedelta) before the second attempt; 1 s by default.
        backoff_multiplier: What each further wait is multiplied by; 2 by default.
        max_backoff: The longest wait; 60 s by default.
        jitter: Whether the wait is drawn from [0, wait); on by default.
        non_retryable: Exception classes, or names of them, that end the execution at once.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """

    __slots__ = ("policy",)

    def __init__(
        self,
        max_attempts: int | None = None,
        *,
        initial_backoff: Span | None = None,
        backoff_multiplier: float | None = None,
        max_backoff: Span | None = None,
        jitter: bool | None = None,
        non_retryable: Sequence[str | type[BaseException]] = (),
    ) -> None:
        self.policy = build(
            RetryPolicy,
            {
                "max_attempts": max_attempts,
                "initial_backoff": span(initial_backoff, field="initial_backoff"),
                "backoff_multiplier": backoff_multiplier,
                "max_backoff": span(max_backoff, field="max_backoff"),
                "jitter": jitter,
                "non_retryable": tuple(_error_name(one, i) for i, one in enumerate(non_retryable)) or None,
            },
        )


class Restart:
    """How often a resident (or what supervises the agent) is restarted before it is given up: OTP's intensity.

    Args:
        mode: `permanent`, `transient` or `temporary`.
        intensity: How many restarts are allowed within `period`.
        period: Seconds or a timedelta.
        initial_backoff: The wait before the first restart.
        max_backoff: The longest wait.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """

    __slots__ = ("policy",)

    def __init__(
        self,
        mode: str | RestartMode | None = None,
        *,
        intensity: int | None = None,
        period: Span | None = None,
        initial_backoff: Span | None = None,
        max_backoff: Span | None = None,
    ) -> None:
        self.policy = build(
            RestartPolicy,
            {
                "mode": choice(mode, RestartMode, field="mode"),
                "intensity": intensity,
                "period": span(period, field="period"),
                "initial_backoff": span(initial_backoff, field="initial_backoff"),
                "max_backoff": span(max_backoff, field="max_backoff"),
            },
        )


def _error_name(one: object, index: int) -> str:
    match one:
        case str() if one:
            return one
        case type() if issubclass(one, BaseException):
            return one.__name__
        case _:
            raise InvalidArgument.of(
                f"non_retryable[{index}]", f"must be an exception class or its name, not {one!r}"
            )
