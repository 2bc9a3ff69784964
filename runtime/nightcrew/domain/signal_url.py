"""One-time addresses of signals: who follows one answers for a person, once, until it expires.

The token in it is all that its holder needs to prove, so of it the store keeps a digest.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.execution import ExecutionState

PATH: Final = "/signals/"
DEFAULT_TTL: Final = timedelta(days=7)
MAX_TTL: Final = timedelta(days=365)
USED: Final = "signal_url_used"
EXPIRED: Final = "signal_url_expired"
ENDED: Final = "signal_url_ended"
GONE: Final = frozenset({EXPIRED, ENDED})
"""Why an address is good for nothing any more, whatever is sent to it (HTTP's 410)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalUrl:
    """An address, as it is kept.

    Attributes:
        digest: Of its token.
        execution_id: Whom the signal is for.
        signal: The signal's name.
        payload: JSON text that the signal brings whatever is sent; None: what is sent is the payload.
        expire_time: From then on it is good for nothing.
        used: The digest of what it was used with; empty while it was not.
    """

    digest: str
    execution_id: str
    signal: str
    payload: str | None
    expire_time: datetime
    used: str = ""


def digest_of(text: str) -> str:
    """The digest of a token, or of what was sent with it."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_ttl(ttl: timedelta) -> timedelta:
    """How long an address is good for; none said is 7 days.

    Raises:
        InvalidArgument: It is negative or over a year.
    """
    if not ttl:
        return DEFAULT_TTL
    if not timedelta(0) < ttl <= MAX_TTL:
        raise InvalidArgument.of("ttl", f"must be longer than 0s and at most {MAX_TTL.days} days, is {ttl}")
    return ttl


def check_usable(url: SignalUrl | None, state: ExecutionState | None, *, now: datetime) -> SignalUrl:
    """The address itself if it may still be used, or may have been with the same.

    Args:
        url: What the token stands for, if it stands for anything.
        state: Of its execution; None if that is gone.
        now: The wall clock.

    Raises:
        NotFound: No address has this token.
        FailedPrecondition: It has expired, or its execution has ended.
    """
    if url is None:
        raise NotFound("signal URL", "of this token")
    if url.used:
        return url
    if url.expire_time <= now:
        raise FailedPrecondition("this signal URL has expired", subject="signals", code=EXPIRED)
    if state is None or state.final:
        raise FailedPrecondition(
            "the execution that this signal URL was for has ended", subject="signals", code=ENDED
        )
    return url
