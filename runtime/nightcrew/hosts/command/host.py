"""CommandHost: commands as process groups of their own, so many at once, watched for what they take."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nightcrew.domain.execution import ExecutionError
from nightcrew.hosts.command.groups import Usage, kill_survivors, usage_of
from nightcrew.hosts.command.run import CommandRun
from nightcrew.hosts.command.settings import CommandSettings
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Cancelled, Desk, Interrupted, Job, LogSink, Outcome

MIB: Final = 1024 * 1024
_WATCH_INTERVAL: Final = 0.5


class CommandHost:
    """Runs commands (ports.host.Host); `watch` is its life beside the other hosts'.

    Args:
        settings: What commands may take.
        environment: What every command is given.
        data: The data folder: names the runtime that a command belongs to.
        clock: Gives log entries their time.
    """

    def __init__(
        self, settings: CommandSettings, *, environment: Mapping[str, str], data: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._mark = str(data.resolve())
        self._clock = clock
        self._free = settings.places
        self._waiting: OrderedDict[tuple[str, int], asyncio.Future[Outcome | None]] = OrderedDict()
        self._runs: dict[tuple[str, int], CommandRun] = {}

    @property
    def running(self) -> int:
        """How many commands run."""
        return len(self._runs)

    def clear(self) -> None:
        """Kills what an earlier life left behind; before anything of it is run again."""
        kill_survivors(self._mark)

    async def watch(self) -> None:
        """Ends commands that take too much, until it is cancelled."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            groups = {run.group: run for run in self._runs.values() if run.group}
            if groups and (self._settings.memory or self._settings.processes):
                for group, usage in usage_of(groups).items():
                    excess = self._excess(usage)
                    if excess is not None:
                        groups[group].exceed(excess)

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:  # noqa: ARG002 - a command has no journal
        """Runs one attempt to its end. If the awaiting task is cancelled the command is killed."""
        key = (job.execution_id, job.lease)
        ended = await self._place(key)
        if ended is not None:
            return ended
        run = CommandRun(
            job,
            sink,
            settings=self._settings,
            minimal=self._environment,
            mark=self._mark,
            clock=self._clock,
        )
        self._runs[key] = run
        try:
            return await run.outcome()
        finally:
            del self._runs[key]
            self._leave()

    def arrived(self, execution_id: str, lease: int) -> None:
        """A command waits for nothing that the runtime knows of."""

    def cancel(self, execution_id: str, lease: int) -> None:
        """Sends it SIGTERM, and all that it started; one that waits has ended at once."""
        key = (execution_id, lease)
        if key in self._runs:
            self._runs[key].cancel()
        self._give_up(key, Cancelled())

    def kill(self, execution_id: str, lease: int) -> None:
        """Sends it SIGKILL, and all that it started."""
        key = (execution_id, lease)
        if key in self._runs:
            self._runs[key].kill()
        self._give_up(key, Interrupted("killed"))

    async def _place(self, key: tuple[str, int]) -> Outcome | None:
        """Waits for a place, in order; an outcome if it was ended before there was one."""
        if self._free:
            self._free -= 1
            return None
        waiting: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.result() is None:
                self._leave()  # the place was given in the same turn
            raise
        finally:
            self._waiting.pop(key, None)

    def _leave(self) -> None:
        """Gives a place to whoever has waited longest."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1

    def _give_up(self, key: tuple[str, int], outcome: Outcome) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    def _excess(self, usage: Usage) -> ExecutionError | None:
        settings = self._settings
        if settings.memory and usage.memory > settings.memory:
            took = (
                f"it used {usage.memory // MIB} MiB of memory; a command may use {settings.memory // MIB} MiB"
            )
            return ExecutionError(type="memory_limit", message=took)
        if settings.processes and usage.processes > settings.processes:
            took = f"it had {usage.processes} processes; a command may have {settings.processes}"
            return ExecutionError(type="process_limit", message=took)
        return None
