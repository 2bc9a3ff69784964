"""Real identities and randomness: UUIDs of version 7 that grow within the process, and a seeded generator."""

import threading
import time
from collections.abc import Callable
from random import Random  # noqa: TID251 - this is the adapter that the port Ids leads to

_NANOS_A_MILLI = 1_000_000


class SystemIds:
    """New ids and random numbers (ports.clock.Ids), safe to call from any thread.

    The layout is RFC 9562, 5.7 with method 3 of 6.2: 48 bits of Unix milliseconds, then 12 bits of the
    millisecond's fraction, together a stamp that is never given twice; then 62 random bits. Within a process
    every id is greater than the one before, as text too. When the wall clock steps back, or two calls fall
    into one 4096th of a millisecond, the stamp goes on from the last one.

    Args:
        nanos: Gives the time of an id, in nanoseconds since 1970; the machine's own unless a test brings another.
        seed: For a test: the same ids and numbers in every run (if `nanos` says the same). By default the
            operating system gives one.
    """

    __slots__ = ("_bits", "_last", "_lock", "_nanos", "_random")

    def __init__(self, *, nanos: Callable[[], int] | None = None, seed: str | None = None) -> None:
        # Ids name things, they are no secrets: no CSPRNG is needed.
        generator = Random(seed)  # noqa: S311 - see above
        self._nanos = nanos or time.time_ns
        self._bits = generator.getrandbits
        self._random = generator.random
        self._last = 0
        self._lock = threading.Lock()

    def uuid7(self) -> str:
        """A new time-ordered UUID (RFC 9562, version 7), growing within the process."""
        with self._lock:
            stamp = (self._nanos() << 12) // _NANOS_A_MILLI
            if stamp <= self._last:
                stamp = self._last + 1
            self._last = stamp
            tail = self._bits(62)
        head, end = f"{stamp:015x}", f"{tail | 0x8000_0000_0000_0000:016x}"
        return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{end[:4]}-{end[4:]}"

    def random(self) -> float:
        """A number in [0, 1)."""
        return self._random()
