"""How often, and how fast, a call that met an unavailable server is tried again."""

from dataclasses import dataclass

from nightcrew.client.chance import jittered


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounded retries with exponential back-off, for calls that met UNAVAILABLE.

    Every mutation carries a request id that stays the same over its retries, so that trying again is safe
    whether or not the server carried the first try out.

    Attributes:
        attempts: Tries in all, the first included; 1 is no retry.
        initial: Seconds before the second try.
        multiplier: The factor from one wait to the next.
        maximum: The longest wait in seconds.
    """

    attempts: int = 5
    initial: float = 0.1
    multiplier: float = 2.0
    maximum: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts: must be at least 1, not {self.attempts}")
        if self.initial < 0 or self.maximum < 0 or self.multiplier < 1:
            raise ValueError("initial and maximum must not be negative, multiplier must be at least 1")

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 after the first), with jitter."""
        # 2.0 ** 1024 overflows; the cap is reached long before 64 doublings.
        return jittered(min(self.maximum, self.initial * self.multiplier ** min(failures - 1, 64)))
