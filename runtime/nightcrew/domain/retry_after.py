"""The header Retry-After: how long a server wants to be left alone (RFC 9110, 10.2.3)."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 3600.0
"""Seconds that are heeded at most: who says more is asked again in an hour."""
ASKS_FOR_REST: Final = frozenset({429, 503})


def rest_after(status: int, header: str | None, *, now: datetime) -> float:
    """Seconds to wait before the next request, 0 if the answer asks for none; one that can't be read asks for none."""
    if status not in ASKS_FOR_REST or header is None:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    return min(max((moment - now).total_seconds(), 0.0), LONGEST)
