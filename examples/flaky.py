"""An agent that fails at times and is retried: each failure waits longer than the one before."""

import random

from nightcrew.agent import Context, NonRetryable, Retry, agent, every


@agent(
    triggers=every(seconds=20),
    # 5 attempts in all; it waits 0.5 s before the second, then 1 s, 2 s, 4 s.
    retry=Retry(max_attempts=5, initial_backoff=0.5, backoff_multiplier=2, jitter=False),
    # 3 executions in a row that used up their attempts, and the agent goes to ERROR until you resume it.
    pause_after_failures=3,
)
async def flaky(ctx: Context, city: str = "Berlin") -> dict[str, object]:
    """Asks a weather service that answers two times out of five."""
    if not city:
        raise NonRetryable("which city?")  # no attempt would go better: it fails at once
    if random.random() < 0.6:
        raise ConnectionError(f"the weather service did not answer (attempt {ctx.attempt})")
    return {"city": city, "celsius": random.randint(-5, 30), "attempts": ctx.attempt}
