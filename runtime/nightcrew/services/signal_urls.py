"""The use cases of signals' one-time addresses: make one, look at what it asks, use it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nightcrew.crew.commits import After, Commits
from nightcrew.crew.signal_urls import Made, find_url, make_url, use_url
from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.signal_url import SignalUrl, check_ttl
from nightcrew.domain.step import StepKind
from nightcrew.domain.values import checked, decode, encode
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction
from nightcrew.services.once import Request, check_request_id, once


@dataclass(frozen=True, slots=True)
class Question:
    """What an address asks of whoever follows it.

    Attributes:
        agent_id: Who asks.
        signal: The signal's name.
        message: In the words of the program's wait, if it waits already.
        used: Whether it was answered.
    """

    agent_id: str
    signal: str
    message: str
    used: bool


class SignalUrlService:
    """What callers can do with addresses of signals."""

    def __init__(self, *, commits: Commits, clock: Clock) -> None:
        self._commits = commits
        self._clock = clock

    async def create(
        self, execution_id: str, name: str, *, payload: str | None, ttl: timedelta, request: Request
    ) -> Made:
        """Makes an address that gives a signal to an execution, once.

        Args:
            execution_id: The execution.
            name: The signal's name.
            payload: JSON text that it brings whatever is sent, or None.
            ttl: How long it is good for; 0 is 7 days.
            request: Who asks.

        Raises:
            NotFound: There is no such execution.
            FailedPrecondition: It has ended, or the HTTP service is off.
            InvalidArgument: An argument is wrong.
        """
        check_request_id(request)
        lasting, now = check_ttl(ttl), self._clock.now()

        def unit(tx: Transaction, after: After) -> Made:
            def do() -> Made:
                execution = tx.executions.get(execution_id)
                if execution is None:
                    raise NotFound("execution", execution_id)
                return make_url(tx, after, execution, name, payload=payload, ttl=lasting, now=now)

            return once(tx, request, now=now, do=do, remember=_text_of, recall=_made_of)

        return await self._commits.run(unit)

    async def look(self, token: str) -> Question:
        """What an address asks; that uses nothing up: mail scanners and chats follow links.

        Raises:
            NotFound: No address has this token.
            FailedPrecondition: It has expired, or its execution has ended.
        """
        now = self._clock.now()

        def unit(tx: Transaction, _after: After) -> Question:
            url, execution = find_url(tx, token, now=now)
            waits = (
                one.detail
                for one in tx.steps.open(execution.id)
                if one.kind is StepKind.SIGNAL and one.awaited == url.signal
            )
            return Question(execution.agent_id, url.signal, next(waits, ""), bool(url.used))

        return await self._commits.run(unit)

    async def use(self, token: str, payload: object, *, empty: bool) -> str:
        """Gives the signal; returns the id of its execution.

        Args:
            token: Out of the address.
            payload: What was sent.
            empty: Whether nothing was.

        Raises:
            NotFound: No address has this token.
            FailedPrecondition: It was used, has expired, or its execution has ended.
            InvalidArgument: It brings its own payload and another was sent, or that is too large.
        """
        text = checked(payload, field="payload")
        now = self._clock.now()
        return await self._commits.run(
            lambda tx, after: use_url(tx, after, token, _sent(text, empty=empty), now=now)
        )


def _sent(text: str, *, empty: bool) -> Callable[[SignalUrl], str]:
    def choose(url: SignalUrl) -> str:
        if url.payload is None:
            return text
        if not empty:
            raise InvalidArgument.of("body", "this signal URL brings its own payload; send nothing")
        return url.payload

    return choose


def _text_of(made: Made) -> str:
    return encode([made.url, to_micros(made.expire_time)])


def _made_of(text: str) -> Made:
    url, expire_time = decode(text)
    return Made(url, from_micros(expire_time))
