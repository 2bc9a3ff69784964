"""Mutations that happen once: a repeated request id gets its first answer (contract.md, Rules)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from nightcrew.domain.errors import InvalidArgument
from nightcrew.ports.requests import Remembered
from nightcrew.ports.store import Transaction

T = TypeVar("T")

KEPT: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks for what.

    Attributes:
        method: The full name of the RPC or route.
        request_id: A UUID, or "" when the caller gave none: then nothing is remembered.
        digest: Of the body without `wait` and `request_id`.
        caller: Who asks; empty while there is no login.
    """

    method: str
    request_id: str = ""
    digest: str = ""
    caller: str = ""


def once(
    tx: Transaction,
    request: Request,
    *,
    now: datetime,
    do: Callable[[], T],
    remember: Callable[[T], str],
    recall: Callable[[str], T],
) -> T:
    """Does it and remembers the answer in the same transaction, or recalls the first answer.

    Raises:
        InvalidArgument: The request id is no UUID, or was used with another body.
    """
    if not request.request_id:
        return do()
    known = tx.requests.find(request.caller, request.method, request.request_id, since=now - KEPT)
    if known is not None:
        if known.digest != request.digest:
            raise InvalidArgument.of(
                "request_id",
                "was used for another request; a new request needs a new id",
                code="request_id_reused",
            )
        return recall(known.answer)
    done = do()
    tx.requests.remember(
        Remembered(
            caller=request.caller,
            method=request.method,
            request_id=request.request_id,
            digest=request.digest,
            answer=remember(done),
            time=now,
        )
    )
    return done


def check_request_id(request: Request) -> None:
    """Whether the request id is a UUID.

    Raises:
        InvalidArgument: It is not.
    """
    if not request.request_id:
        return
    try:
        UUID(request.request_id)
    except ValueError:
        raise InvalidArgument.of("request_id", "must be a UUID") from None
