"""An actor: one message at a time, tell and ask, an end that answers everybody who waits."""

import asyncio
import functools
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from nightcrew.actor.errors import ActorStopped, Refused, describe
from nightcrew.actor.mailbox import Ask, Mailbox
from nightcrew.ports.clock import Clock

M = TypeVar("M")

DEFAULT_CAPACITY: Final = 1024
_MESSAGES_A_TURN: Final = 128  # a busy actor gives the loop to others after so many

_log = logging.getLogger(__name__)


class StopKind(StrEnum):
    """How an actor's run ended."""

    LEFT = "it left"
    STOPPED = "it was stopped"
    CRASHED = "it crashed"


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why an actor ends; `error` is what it crashed with."""

    kind: StopKind
    error: BaseException | None = None

    def __str__(self) -> str:
        return self.kind.value if self.error is None else f"{self.kind.value} ({describe(self.error)})"


class ActorRef(Generic[M]):
    """Where an actor's messages go. It stays the same over restarts: each run has a fresh mailbox.

    While the actor is not running, both calls raise ActorStopped.
    """

    __slots__ = ("_clock", "_mailbox", "name")

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._mailbox: Mailbox[M] = Mailbox(name, 1)
        self._mailbox.close("it has not been started")

    def tell(self, message: M) -> None:
        """Sends a message and does not wait.

        Raises:
            MailboxFull: The actor has too many messages waiting; this one was not taken.
            ActorStopped: The actor does not run.
        """
        self._mailbox.put(message)

    def ask(self, message: M, *, timeout: float | None = None) -> asyncio.Future[Any]:
        """Sends a message; awaiting the future gives what `receive` returns for it.

        An ask that its sender gave up is still handled, its answer is thrown away. An actor that asks itself
        waits for ever: give a timeout.

        Args:
            message: What to send.
            timeout: Seconds of the clock until the future fails with TimeoutError; None waits for ever.

        Raises:
            MailboxFull: The actor has too many messages waiting; this one was not taken.
            ActorStopped: The actor does not run; the future fails with it if the actor ends before it answers.
        """
        future = self._mailbox.ask(message)
        if timeout is not None:
            timer = self._clock.call_later(timeout, functools.partial(self._expire, future, timeout))
            future.add_done_callback(lambda _: timer.cancel())
        return future

    def _expire(self, future: asyncio.Future[Any], timeout: float) -> None:
        if not future.done():
            future.set_exception(TimeoutError(f"{self.name!r} has not answered in {timeout:g} s"))


class Actor(Generic[M]):
    """What an actor does; subclass it. One message is handled at a time, in order of arrival.

    Being stopped raises CancelledError at the point where `receive` waits. An exception that leaves `started`
    or `receive` ends this run; whether there is another, with a new object, is the supervisor's decision.

    Attributes:
        ref: Where messages to this actor go; there before `started`.
    """

    ref: ActorRef[M]
    _leaving = False

    async def started(self) -> None:
        """Called before the first message; messages already queue."""

    async def receive(self, message: M) -> Any:
        """Handles a message; what it returns is the answer if the message was an ask.

        Raise `Refused(error)` to answer with an error and go on.
        """
        raise NotImplementedError(f"{type(self).__name__}.receive is missing")

    async def stopping(self, reason: StopReason) -> None:
        """Called at the end of a run that had started, after the mailbox is closed, whatever ended it."""

    def leave(self) -> None:
        """Ends this run normally as soon as no message waits; those that wait then are still handled."""
        self._leaving = True
        self.ref._mailbox.nudge()  # noqa: SLF001 - wakes this actor's own loop


class ActorCell(Generic[M]):
    """The place where an actor lives over its restarts: its ref, and `run`, which is a ChildSpec's `start`.

    Args:
        name: Names it in errors and logs.
        make: Makes the actor, anew for each run.
        clock: For the timeouts of asks.
        capacity: How many messages may wait.
        coalesce: See `Mailbox`.
    """

    __slots__ = ("_capacity", "_coalesce", "_make", "_prepared", "ref")

    def __init__(
        self,
        name: str,
        make: Callable[[], Actor[M]],
        *,
        clock: Clock,
        capacity: int = DEFAULT_CAPACITY,
        coalesce: Callable[[M], Hashable | None] | None = None,
    ) -> None:
        self._make = make
        self._capacity = capacity
        self._coalesce = coalesce
        self._prepared: Mailbox[M] | None = None
        self.ref: ActorRef[M] = ActorRef(name, clock)

    def prepare(self) -> ActorRef[M]:
        """Opens the mailbox of the next run now, so that messages can be sent before it is entered.

        Only for a run that is sure to come: `Supervisor.spawn` in the same turn of the loop.
        """
        if self._prepared is None:
            # A run that was abandoned may still hold the mailbox before this one: it gets no more of it.
            self.ref._mailbox.close("another run has taken its place")  # noqa: SLF001 - cell and ref are one
            self._prepared = self.ref._mailbox = Mailbox(  # noqa: SLF001 - cell and ref are one
                self.ref.name, self._capacity, coalesce=self._coalesce
            )
        return self.ref

    async def run(self, ready: Callable[[], None]) -> None:
        """One run of the actor: until it leaves (returns), is cancelled, or crashes (raises)."""
        self.prepare()
        mailbox, self._prepared = self.ref._mailbox, None  # noqa: SLF001 - cell and ref are one
        reason = StopReason(StopKind.LEFT)
        actor: Actor[M] | None = None
        try:
            fresh = self._make()
            fresh.ref = self.ref
            await fresh.started()
            actor = fresh
            ready()
            await _serve(actor, mailbox)
        except asyncio.CancelledError:
            reason = StopReason(StopKind.STOPPED)
            raise
        except BaseException as error:
            reason = StopReason(StopKind.CRASHED, error)
            raise
        finally:
            lost = mailbox.close(str(reason))
            if lost:
                _log.warning("%s: %s with %d messages unread", self.ref.name, reason, lost)
            if actor is not None:
                await _say_goodbye(actor, reason)


async def _serve(actor: Actor[M], mailbox: Mailbox[M]) -> None:
    """Handles messages until the actor leaves; its crash answers the ask that it was on."""
    receive, take = actor.receive, mailbox.take
    handled = 0
    while True:
        while not mailbox:
            if actor._leaving:  # noqa: SLF001 - set by `leave`, read by this loop only
                mailbox.close(StopKind.LEFT.value)
                return
            await mailbox.wait()
        message = take()
        if type(message) is Ask:
            await _handle_ask(actor, message)
        else:
            try:
                await receive(message)  # type: ignore[arg-type]  # `type() is` does not narrow the union here
            except Refused as refusal:  # a tell's sender does not wait: the log is all that can be told
                _log.warning("%s refused a message: %s", actor.ref.name, describe(refusal.error))
        handled += 1
        if handled % _MESSAGES_A_TURN == 0:
            await asyncio.sleep(0)


async def _handle_ask(actor: Actor[M], ask: Ask[M]) -> None:
    try:
        ask.answer(await actor.receive(ask.message))
    except Refused as refusal:
        ask.fail(refusal.error)
    except BaseException as error:
        kind = StopKind.STOPPED if isinstance(error, asyncio.CancelledError) else StopKind.CRASHED
        reason = StopReason(kind, None if kind is StopKind.STOPPED else error)
        ask.fail(ActorStopped(actor.ref.name, str(reason)))
        raise


async def _say_goodbye(actor: Actor[M], reason: StopReason) -> None:
    try:
        await actor.stopping(reason)
    except Exception:
        if reason.error is None:
            raise
        # The crash is what the supervisor must hear of; this error only followed it.
        _log.exception("%s: `stopping` failed after a crash", actor.ref.name)
