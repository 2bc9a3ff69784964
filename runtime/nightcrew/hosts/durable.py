"""A program's journal at work: each durable call is answered from it, or done once, written, and then answered."""

# ruff: noqa: ASYNC109 - the time limits are durable ones, not asyncio's

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from nightcrew.agent.base_context import CancelFlag, Memory
from nightcrew.agent.errors import DurableUnavailable, NonRetryable
from nightcrew.agent.leaving import Leaving, Lost, Parked, Suspended
from nightcrew.agent.retry import Retry
from nightcrew.domain.budget import spent
from nightcrew.domain.durations import format_instant, parse_instant
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.journal import Journal, Mismatch, Place
from nightcrew.domain.retry import backoff, may_retry, resolve
from nightcrew.domain.signal_url import check_ttl
from nightcrew.domain.spec.policy import RetryPolicy
from nightcrew.domain.step import LeaseLost, Step, StepKind, StepState
from nightcrew.domain.values import checked, decode, encode
from nightcrew.hosts.branches import Branch, current
from nightcrew.hosts.entries import answer, digest_of, entry, hashed, named
from nightcrew.hosts.reports import LoopReports
from nightcrew.hosts.resting import Resting
from nightcrew.hosts.step_calls import finished, on_loop
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Desk, Job
from nightcrew.programs.result import plain_value, result_text
from nightcrew.programs.step_error import revived, step_error

T = TypeVar("T")

_ONCE: Final = resolve(RetryPolicy())
"""A step of which nobody says how often it is tried."""
_step: Final[ContextVar[str]] = ContextVar("nightcrew_step", default="")
"""The key of the step that runs; empty outside of steps."""


class Steps:
    """The journal of one attempt (agent.durable.Durable).

    Args:
        job: The attempt.
        desk: The runtime's side.
        memory: `ctx.state`, for save_state.
        flag: Set when a cancel is raised into the program.
        clock: The clock.
        random: In [0, 1).
        blocking: For a sync program: its desk blocks, and so does everything here.

    Attributes:
        left: How the program is being left, once it is.
        in_threads: How many of an async program's sync steps run now.
    """

    __slots__ = (
        "_blocking",
        "_cancelling",
        "_desk",
        "_flag",
        "_id",
        "_journal",
        "_memory",
        "_now",
        "_random",
        "_replay",
        "_reports",
        "_resting",
        "_root",
        "in_threads",
        "left",
    )

    def __init__(
        self,
        job: Job,
        *,
        desk: Desk,
        memory: Memory,
        flag: CancelFlag,
        clock: Clock,
        random: Callable[[], float],
        blocking: bool,
    ) -> None:
        self._id = job.execution_id
        self._journal = Journal(job.journal)
        self._desk = desk
        self._memory = memory
        self._flag = flag
        self._now = clock.now
        self._random = random
        self._blocking = blocking
        self._cancelling = job.cancelling
        self._replay = job.replay
        self._resting = Resting(clock)
        self._root = Branch(self._resting)
        self._reports: LoopReports | None = None
        self.left: Leaving | None = None
        self.in_threads = 0

    def enter(self) -> None:
        """Called by the program's own task, or thread, before the program."""
        current.set(self._root)
        if not self._blocking:
            self._resting.enter(asyncio.current_task(), self._leave_all)

    def arrived(self) -> None:
        """A wait may be over."""
        self._resting.wake()

    def close(self) -> None:
        """The program has ended: tasks that it left behind are cancelled if it goes on later."""
        self._resting.close(cancel=self.left is not None)

    # ---- what the Context offers ---------------------------------------------------------------------------

    @property
    def open(self) -> tuple[str, ...]:
        """The keys of the steps that have not ended."""
        return self._journal.open

    @property
    def step_key(self) -> str:
        """Of the step that runs now, the same in every attempt; of the execution itself outside of steps."""
        key = _step.get()
        return f"{self._id}:{key}" if key else self._id

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        key: str,
        retry: Retry | None,
    ) -> Any:
        """Runs a function once and journals its JSON result."""
        if not callable(function):
            raise InvalidArgument.of("function", f"step {name!r} needs a function, not {function!r}")
        place, known = self._come_to(StepKind.STEP, name, digest=digest_of(args, kwargs), key=key)
        if known is not None and known.state.ended:
            return answer(known)
        if self._replay:
            await self._reached()
        policy = _ONCE if retry is None else resolve(retry.policy)
        begun = known.start_time if known is not None else self._now()
        attempt = known.attempts if known is not None else 0
        if known is not None and known.until is not None:
            await self._until(known)
        while True:
            attempt += 1
            try:
                text = await self._run(place, function, args, kwargs)
            except Exception as error:
                ended = entry(place, begun, attempts=attempt, error=step_error(error), end=self._now())
                why = ExecutionError(
                    type=type(error).__name__, message="", retryable=not isinstance(error, NonRetryable)
                )
                if not may_retry(policy, attempt, why):
                    await self._write(replace(ended, state=StepState.FAILED))
                    assert ended.error is not None  # noqa: S101 - it was set above
                    raise revived(ended.error) from error
                again = self._now() + backoff(policy, attempt, self._random())
                await self._until(
                    await self._write(replace(ended, state=StepState.RUNNING, until=again, end_time=None))
                )
            else:
                now, done = self._now(), StepState.SUCCEEDED
                await self._write(entry(place, begun, attempts=attempt, end=now, state=done, result=text))
                return decode(text)

    async def sleep(self, span: timedelta) -> None:
        """Waits for time to pass."""
        await self._wait(StepKind.SLEEP, "sleep", timeout=span, digest=str(span))

    async def wait_signal(self, name: str, *, timeout: timedelta | None, message: str) -> Any:
        """Waits for a signal and returns its payload."""
        return await self._wait(
            StepKind.SIGNAL, named(name, "signal"), timeout=timeout, awaited=name, detail=message
        )

    async def wait_event(self, kind: str, *, filter: str, timeout: timedelta | None) -> dict[str, Any]:  # noqa: A002 - the contract's word
        """Waits for an event that matches and returns it."""
        event = await self._wait(
            StepKind.EVENT,
            named(kind, "type"),
            timeout=timeout,
            awaited=kind,
            detail=filter,
            digest=digest_of((filter,), {}),
        )
        return dict(event)

    async def call(self, agent_id: str, given: Mapping[str, Any], *, timeout: timedelta | None) -> Any:
        """Has another agent run and returns its result."""
        detail = checked(dict(given), field="input")
        return await self._wait(
            StepKind.CALL, named(agent_id, "agent"), timeout=timeout, detail=detail, digest=hashed(detail)
        )

    async def publish(
        self, kind: str, data: Any, *, source: str, subject: str, extensions: Mapping[str, str]
    ) -> None:
        """Publishes an event, once."""
        detail = checked(
            {
                "data": plain_value(data),
                "source": source,
                "subject": subject,
                "extensions": dict(extensions),
            },
            field="data",
        )
        await self._once(StepKind.PUBLISH, named(kind, "type"), "null", detail=detail, digest=hashed(detail))

    async def spend(self, name: str, amount: float) -> None:
        """Counts what was spent, once."""
        detail = encode(spent(name, amount))
        await self._once(StepKind.SPEND, name, "null", detail=detail, digest=hashed(detail))

    async def signal_url(self, name: str, *, ttl: timedelta, payload: Sequence[Any]) -> str:
        """An address that gives a signal, once."""
        asked = {"ttl": check_ttl(ttl).total_seconds(), **({"payload": payload[0]} if payload else {})}
        detail = checked(asked, field="payload")
        return str(
            await self._once(
                StepKind.SIGNAL_URL, named(name, "signal"), "null", detail=detail, digest=hashed(detail)
            )
        )

    async def now(self) -> datetime:
        """The time, journaled."""
        return parse_instant(await self._once(StepKind.NOW, "now", encode(format_instant(self._now()))))

    async def random(self) -> float:
        """A number in [0, 1), journaled."""
        return float(await self._once(StepKind.RANDOM, "random", encode(self._random())))

    async def save_state(self) -> None:
        """Saves `ctx.state` at once."""
        self._check()
        changed = self._memory.changed()
        if changed is not None and not self._replay:
            await self._held(self._desk.save_memory(changed))

    def heartbeat(self, details: Any) -> None:
        """Gives a sign of life."""
        checked(details, field="details")
        self._desk.beat()

    def progress(self, done: float, total: float, message: str) -> None:
        """Says how far it has got, from any thread."""
        self._reports = self._reports or LoopReports(self._desk.report, self._resting.loop)
        self._reports.say(done, total, message, now=self._now())

    def _check(self) -> Branch:
        """The branch that calls; raises out of a program that is being left."""
        if self.left is not None:
            raise self.left
        branch = current.get()
        if branch is None or branch.family is not self._resting:
            where = "inside a step" if _step.get() else "from code that is not the program's own"
            raise DurableUnavailable(f"ctx can't do durable things {where}; do them before or after it")
        return branch

    def _come_to(
        self, kind: StepKind, name: str, *, digest: str = "", key: str = ""
    ) -> tuple[Place, Step | None]:
        """The place in the journal where the program is now, and the entry there if there is one."""
        branch = self._check()
        place = self._journal.place(branch.path, kind, named(name, "name"), digest=digest, key=key)
        try:
            known = self._journal.find(place)
        except Mismatch as error:
            self._leave(Parked(str(error)))
            raise self.left from error  # type: ignore[misc]  # it was set a line above
        if self._cancelling and (known is None or not known.state.ended):
            # The journal ends here: the cancel that came while it waited is raised once.
            self._cancelling = False
            self._flag.requested = True
            raise asyncio.CancelledError
        return place, known

    async def _run(
        self, place: Place, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> str:
        """The step's own work: its result as JSON text."""
        inside = current.set(None)
        inner = _step.set(place.key)
        try:
            value = await self._value(functools.partial(function, *args, **kwargs))
        finally:
            _step.reset(inner)
            current.reset(inside)
        text = result_text(value)
        if isinstance(text, ExecutionError):
            raise NonRetryable(f"step {place.name!r}: {text.message}")
        return text

    async def _value(self, call: Callable[[], Any]) -> Any:
        if self._blocking:
            return finished(call())
        if on_loop(call):
            return await call()
        self.in_threads += 1
        try:
            value = await asyncio.to_thread(call)
        finally:
            self.in_threads -= 1
        return await value if inspect.isawaitable(value) else value

    async def _once(
        self, kind: StepKind, name: str, result: str, *, detail: str = "", digest: str = ""
    ) -> Any:
        """Something that is done by being journaled."""
        place, known = self._come_to(kind, name, digest=digest)
        if self._replay and known is None:
            await self._reached()
        if known is None:
            now, done = self._now(), StepState.SUCCEEDED
            known = await self._write(entry(place, now, end=now, state=done, result=result, detail=detail))
        return answer(known)

    async def _wait(
        self,
        kind: StepKind,
        name: str,
        *,
        timeout: timedelta | None,
        awaited: str = "",
        detail: str = "",
        digest: str = "",
    ) -> Any:
        """Something that ends from outside, or by its time."""
        place, known = self._come_to(kind, name, digest=digest)
        if self._replay and (known is None or not known.state.ended):
            await self._reached()
        if known is None:
            now = self._now()
            until = None if timeout is None else now + timeout
            begun = entry(place, now, state=StepState.WAITING, until=until, awaited=awaited, detail=detail)
            known = await self._write(begun)
        return answer(await self._until(known))

    async def _until(self, step: Step) -> Step:
        """The step once it has ended, or once its time has come; the program is left if that is all it does."""
        while not step.state.ended:
            if step.until is not None and step.until <= self._now():
                if step.kind is StepKind.STEP:
                    return step  # to be tried again
            elif self._flag.requested:
                raise asyncio.CancelledError  # it cleans up after a cancel: what lasts belongs in a step
            elif self._blocking or self._resting.alone:
                self._leave(Suspended())
                raise self.left  # type: ignore[misc]  # it was set a line above
            else:
                left = None if step.until is None else (step.until - self._now()).total_seconds()
                await self._resting.rest(left)
            if step.kind is not StepKind.STEP:
                step = await self._kept(self._desk.settle(step.key))
        return step

    async def _reached(self) -> None:
        """In a replay the journal ends here: the program is left once all of its tasks have come so far."""
        while not (self._blocking or self._resting.alone):
            await self._resting.rest(None)
        self._leave(Suspended())
        raise Suspended

    async def _write(self, step: Step) -> Step:
        return await self._kept(self._desk.write(step))

    async def _kept(self, asked: Awaitable[Step]) -> Step:
        step = await self._held(asked)
        self._journal.keep(step)
        return step

    async def _held(self, asked: Awaitable[T]) -> T:
        """What the desk answers; a run that has lost its lease is left, whatever its program catches."""
        try:
            return await asked
        except LeaseLost as error:
            self._leave(Lost(error.message))
            raise self.left from error  # type: ignore[misc]  # it was set a line above

    def _leave(self, how: Leaving) -> None:
        if self.left is None:
            self.left = how

    def _leave_all(self) -> None:
        """Every task of the program waits: its memory is freed."""
        self._leave(Suspended())
