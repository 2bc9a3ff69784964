"""The SDK's only source of chance: ids for requests, and the jitter of back-offs."""

import random  # noqa: TID251 - the SDK stands alone, it has no port to take randomness from
import uuid


def request_id() -> str:
    """A new UUID, by which the server knows a repeated mutation."""
    return str(uuid.uuid4())  # noqa: TID251 - the same


def jittered(seconds: float) -> float:
    """Half to all of `seconds`, so that many clients that lost one server don't come back in step."""
    return seconds * (0.5 + random.random() / 2)  # noqa: S311 - nothing is secret about a wait
