"""The Context: what a program can do that outlives it, for async programs and, blocking, for sync ones."""

# ruff: noqa: ASYNC109 - the time limits are durable ones, not asyncio's

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from nightcrew.agent.arguments import Span, span
from nightcrew.agent.base_context import BaseContext
from nightcrew.agent.retry import Retry
from nightcrew.domain.errors import InvalidArgument

T = TypeVar("T")


class Context(BaseContext):
    """What an async program is given. Durable calls are journaled: when it runs again the journal answers.

    The code between them must do the same each time; what it does to the world belongs in a step.
    """

    __slots__ = ()

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        key: str = "",
        retry: Retry | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs `function(*args, **kwargs)` once and journals its JSON result; not run again after a crash.

        A sync function runs in a thread. Parallel steps are tasks: `asyncio.gather(ctx.step(…), ctx.step(…))`.

        Args:
            name: What it is called in the journal.
            function: Async or not.
            args: Its arguments; the journal keeps a digest of them.
            key: Finds the entry wherever the code that asks for it has moved.
            retry: How it is tried again when it fails; not at all by default.
            kwargs: Its named arguments.

        Raises:
            Exception: What the function raised; the same when the journal answers.
        """
        return await self._durable.step(name, function, args, kwargs, key=key, retry=retry)

    async def sleep(
        self, seconds: Span = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Waits; the program is left meanwhile and costs no memory, and it survives restarts."""
        await self._durable.sleep(_whole(seconds, minutes=minutes, hours=hours, days=days))

    async def wait_signal(self, name: str, *, timeout: Span | None = None, message: str = "") -> Any:
        """Waits for a signal that people or other systems send, and returns its payload.

        Args:
            name: The signal's name. One that was sent before is there already.
            timeout: Seconds or a timedelta.
            message: What is asked, for whoever is to answer: shown with the execution.

        Raises:
            TimeoutError: None came in time.
        """
        return await self._durable.wait_signal(name, timeout=_limit(timeout), message=message)

    async def wait_event(self, type: str, *, filter: str = "", timeout: Span | None = None) -> dict[str, Any]:  # noqa: A002 - the contract's word
        """Waits for an event of this type (exact, or a prefix that ends with `*`) and returns it as a CloudEvent.

        Args:
            type: Which events. Those from before the wait do not count.
            filter: A CEL expression over `event`.
            timeout: Seconds or a timedelta.

        Raises:
            TimeoutError: None came in time.
        """
        return await self._durable.wait_event(type, filter=filter, timeout=_limit(timeout))

    async def call(
        self,
        agent: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's word
        *,
        timeout: Span | None = None,
    ) -> Any:
        """Has another agent run and returns its result; the call survives restarts, a cancel is passed on.

        Raises:
            CallFailed: It did not succeed, or could not be called.
            TimeoutError: It has not ended in time; it goes on.
        """
        return await self._durable.call(agent, dict(input or {}), timeout=_limit(timeout))

    async def publish(
        self,
        type: str,  # noqa: A002 - the contract's word
        data: Any = None,
        *,
        source: str = "",
        subject: str = "",
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        """Publishes an event, once: it and its journal entry are one commit. The source is the agent by default."""
        await self._durable.publish(type, data, source=source, subject=subject, extensions=extensions or {})

    async def spend(self, name: str, amount: float) -> None:
        """Reports what was spent of something, once, for the agent's limits: `await ctx.spend("usd", 0.12)`.

        Args:
            name: What: `usd`, `tokens`.
            amount: From 0 to 1e9; it counts in billionths.

        Raises:
            BudgetExceeded: A limit had been passed before; what is reported is counted all the same.
        """
        await self._durable.spend(name, amount)

    async def signal_url(self, name: str, *, expires: Span = 0, payload: Any = ...) -> str:
        """An address that gives this execution a signal, once: for an approval by mail or chat.

            link = await ctx.signal_url("approve", expires=86400, payload={"ok": True})

        Who follows it sees a page with what the wait asks and a button; a program sends a POST.

        Args:
            name: The signal's name.
            expires: Seconds or a timedelta; 7 days if nothing is said.
            payload: What the signal brings; if it is not given that is what is sent.

        Raises:
            FailedPrecondition: The HTTP service is off.
        """
        return await self._durable.signal_url(
            name, ttl=_lasting(expires), payload=() if payload is ... else (payload,)
        )

    async def now(self) -> datetime:
        """The time; the same when the program runs again."""
        return await self._durable.now()

    async def random(self) -> float:
        """A number in [0, 1); the same when the program runs again."""
        return await self._durable.random()

    async def save_state(self) -> None:
        """Saves `ctx.state` at once, not only with the outcome."""
        await self._durable.save_state()


class SyncContext(BaseContext):
    """What a sync program is given: the same calls, each of which returns when it is done."""

    __slots__ = ()

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        key: str = "",
        retry: Retry | None = None,
        **kwargs: Any,
    ) -> Any:
        """See Context.step."""
        return _done(self._durable.step(name, function, args, kwargs, key=key, retry=retry))

    def sleep(self, seconds: Span = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """See Context.sleep."""
        _done(self._durable.sleep(_whole(seconds, minutes=minutes, hours=hours, days=days)))

    def wait_signal(self, name: str, *, timeout: Span | None = None, message: str = "") -> Any:
        """See Context.wait_signal."""
        return _done(self._durable.wait_signal(name, timeout=_limit(timeout), message=message))

    def wait_event(self, type: str, *, filter: str = "", timeout: Span | None = None) -> dict[str, Any]:  # noqa: A002 - the contract's word
        """See Context.wait_event."""
        return _done(self._durable.wait_event(type, filter=filter, timeout=_limit(timeout)))

    def call(self, agent: str, input: Mapping[str, Any] | None = None, *, timeout: Span | None = None) -> Any:  # noqa: A002 - the contract's word
        """See Context.call."""
        return _done(self._durable.call(agent, dict(input or {}), timeout=_limit(timeout)))

    def publish(
        self,
        type: str,  # noqa: A002 - the contract's word
        data: Any = None,
        *,
        source: str = "",
        subject: str = "",
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        """See Context.publish."""
        _done(self._durable.publish(type, data, source=source, subject=subject, extensions=extensions or {}))

    def spend(self, name: str, amount: float) -> None:
        """See Context.spend."""
        _done(self._durable.spend(name, amount))

    def signal_url(self, name: str, *, expires: Span = 0, payload: Any = ...) -> str:
        """See Context.signal_url."""
        given = () if payload is ... else (payload,)
        return _done(self._durable.signal_url(name, ttl=_lasting(expires), payload=given))

    def now(self) -> datetime:
        """See Context.now."""
        return _done(self._durable.now())

    def random(self) -> float:
        """See Context.random."""
        return _done(self._durable.random())

    def save_state(self) -> None:
        """See Context.save_state."""
        _done(self._durable.save_state())


def _done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never waits: a sync program's journal blocks where an async one's would await."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise AssertionError("a sync program's journal must block, not await")


def _whole(seconds: Span, **more: float) -> timedelta:
    whole = (span(seconds, field="seconds") or timedelta(0)) + timedelta(**more)
    if whole < timedelta(0):
        raise InvalidArgument.of("sleep", f"must not be negative, is {whole.total_seconds()} s")
    return whole


def _lasting(expires: Span) -> timedelta:
    return span(expires, field="expires") or timedelta(0)


def _limit(timeout: Span | None) -> timedelta | None:
    return span(timeout, field="timeout")
