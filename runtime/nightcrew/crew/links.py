"""What addresses that are given away are made from: where HTTP callers reach the runtime, and tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Links:
    """Makes addresses.

    Attributes:
        base: Where callers reach the HTTP service, such as `https://crew.example.org`; empty while there is none.
        token: A new secret that nobody can guess, fit for a URL.
    """

    base: Callable[[], str]
    token: Callable[[], str]


NO_LINKS: Final = Links(lambda: "", lambda: "")
