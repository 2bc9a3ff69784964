"""A plain function that computes: it runs in a worker process, so nothing else waits for it."""

from nightcrew.agent import agent, every


@agent(triggers=every(seconds=15), input={"limit": 200_000}, timeout=10)
def primes(limit: int) -> dict[str, int]:
    """Counts the primes below a limit."""
    # A function without `async` never runs on the runtime's own loop. If it runs longer than its timeout,
    # or kills its process, that is an outcome of this execution and nobody else's concern.
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return {"limit": limit, "primes": sum(sieve)}
