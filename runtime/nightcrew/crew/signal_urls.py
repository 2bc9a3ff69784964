"""Addresses of signals, written: made for an execution, and used once, in the transaction that gives the signal."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightcrew.crew.commits import After
from nightcrew.crew.waits import give_signal
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NightcrewError, NotFound
from nightcrew.domain.execution import Execution
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.domain.signal_url import PATH, USED, SignalUrl, check_usable, digest_of
from nightcrew.domain.step import MAX_NAME, Step, StepState
from nightcrew.domain.values import decode, encode
from nightcrew.ports.store import Transaction
from nightcrew.programs.step_error import step_error

NO_HTTP = "signal URLs need the HTTP service, which is off, or `public_url` in nightcrew.toml"


@dataclass(frozen=True, slots=True)
class Made:
    """An address that was made just now: only now its token is known."""

    url: str
    expire_time: datetime


def make_url(
    tx: Transaction,
    after: After,
    execution: Execution,
    name: str,
    *,
    payload: str | None,
    ttl: timedelta,
    now: datetime,
) -> Made:
    """Makes an address that gives this signal, once.

    Raises:
        FailedPrecondition: There is no HTTP service, or the execution has ended.
        InvalidArgument: The name is not right.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidArgument.of("signal", f"must be text of 1 to {MAX_NAME} characters")
    step(execution.state, ExecutionEvent.SIGNAL, execution_id=execution.id)
    base = after.links.base()
    if not base:
        raise FailedPrecondition(NO_HTTP, subject="http", code="http_off")
    token = after.links.token()
    url = SignalUrl(
        digest=digest_of(token),
        execution_id=execution.id,
        signal=name,
        payload=payload,
        expire_time=now + ttl,
    )
    tx.signal_urls.insert(url)
    return Made(f"{base}{PATH}{token}", url.expire_time)


def journal_url(tx: Transaction, after: After, execution: Execution, entry: Step, *, now: datetime) -> Step:
    """Makes the address that a program asks for; the journal keeps it, so that it gets the same one again."""
    asked = decode(entry.detail)
    payload = encode(asked["payload"]) if "payload" in asked else None
    try:
        made = make_url(
            tx, after, execution, entry.name, payload=payload, ttl=timedelta(seconds=asked["ttl"]), now=now
        )
    except NightcrewError as error:
        return replace(entry, state=StepState.FAILED, result=None, error=step_error(error), end_time=now)
    return replace(entry, result=encode(made.url), detail="")


def use_url(
    tx: Transaction, after: After, token: str, sent: Callable[[SignalUrl], str], *, now: datetime
) -> str:
    """Gives the signal that an address stands for; returns the id of its execution.

    What is sent a second time in the same words has happened, and is answered as the first time.

    Args:
        tx: The transaction.
        after: What must follow its commit.
        token: Out of the address.
        sent: The payload, as JSON text, for the address that the token stands for.
        now: The wall clock.

    Raises:
        NotFound: No address has this token.
        FailedPrecondition: It was used, with another payload; it has expired; its execution has ended.
    """
    url, execution = find_url(tx, token, now=now)
    text = sent(url)
    if url.used:
        if url.used != digest_of(text):
            raise FailedPrecondition("this signal URL has been used", subject="signals", code=USED)
        return url.execution_id
    tx.signal_urls.use(url.digest, used=digest_of(text))
    give_signal(tx, after, execution, url.signal, text, now=now)
    return url.execution_id


def find_url(tx: Transaction, token: str, *, now: datetime) -> tuple[SignalUrl, Execution]:
    """The address that a token stands for, with its execution.

    Raises:
        NotFound: No address has this token.
        FailedPrecondition: It has expired, or its execution has ended.
    """
    url = tx.signal_urls.find(digest_of(token))
    execution = None if url is None else tx.executions.get(url.execution_id)
    known = check_usable(url, None if execution is None else execution.state, now=now)
    if execution is None:
        raise NotFound("execution", known.execution_id)
    return known, execution
