"""A replay: a program is run up to where its journal ends, to see whether its code fits; nothing of it is kept."""

import asyncio
from collections.abc import Callable

from nightcrew.domain.log import NewLogEntry
from nightcrew.domain.progress import Progress
from nightcrew.domain.step import LeaseLost, Step
from nightcrew.hosts.attempt import Attempt
from nightcrew.hosts.branches import number_branches
from nightcrew.hosts.process.runs import SyncRun
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Job, Outcome
from nightcrew.programs.python import load_python
from nightcrew.system.capture import recording


class _NoDesk:
    """A desk that nothing may reach: a replay ends before it would be asked (ports.host.Desk)."""

    async def write(self, step: Step) -> Step:
        """Never."""
        raise LeaseLost(f"a replay writes nothing, not {step.key!r} either")

    async def settle(self, key: str) -> Step:
        """Never."""
        raise LeaseLost(f"a replay asks for nothing, not {key!r} either")

    async def save_memory(self, memory: str) -> None:
        """Keeps nothing."""

    def beat(self) -> None:
        """Tells nobody."""

    def report(self, progress: Progress) -> None:
        """Tells nobody."""


async def replay(job: Job, *, clock: Clock, random: Callable[[], float], limit: float) -> Outcome:
    """What becomes of a python program when only its journal answers.

    Args:
        job: The attempt, marked `replay`.
        clock: For its log and its waits.
        random: In [0, 1).
        limit: Seconds that it may take.

    Raises:
        TimeoutError: It has not come to the journal's end within `limit`.
    """
    sync = not job.source.is_async
    attempt = Attempt(job, clock=clock, random=random, emit=_unheard, desk=_NoDesk(), sync=sync)
    running = _in_thread(attempt) if sync else _on_loop(attempt)
    try:
        return await asyncio.wait_for(running, limit)
    finally:
        attempt.recorder.close()


def _unheard(_entry: NewLogEntry) -> None:
    """What it says was said before, or will be again."""


async def _on_loop(attempt: Attempt) -> Outcome:
    number_branches(asyncio.get_running_loop())
    with recording(attempt.recorder):
        try:
            entry = load_python(attempt.job.source)
            attempt.steps.enter()
            value = await entry.call(attempt.context, attempt.job.input)
        except BaseException as error:  # noqa: BLE001 - SystemExit of a program must not end the check
            return attempt.raised(error)
        finally:
            attempt.steps.close()
        return attempt.returned(value)


async def _in_thread(attempt: Attempt) -> Outcome:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome] = loop.create_future()

    def done(outcome: Outcome) -> None:
        loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(outcome))

    SyncRun(attempt, done=done).start()
    return await ended
