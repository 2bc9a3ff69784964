"""The hosts, put together: the loop, worker processes and commands behind one router, as one component."""

import asyncio

from nightcrew.actor.child import Ready
from nightcrew.config.environment import minimal_environment
from nightcrew.config.settings import Settings
from nightcrew.hosts.command.host import CommandHost
from nightcrew.hosts.command.settings import CommandSettings
from nightcrew.hosts.inline import InlineHost
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings
from nightcrew.hosts.router import RoutingHost
from nightcrew.ports.clock import Clock, Ids
from nightcrew.programs.http import HttpRunner
from nightcrew.system.capture import install, uninstall
from nightcrew.system.outbound import HttpWayOut


class Hosts:
    """Where programs run; `router` is what the executor hands jobs to."""

    def __init__(
        self, settings: Settings, *, way_out: HttpWayOut, agent: str, clock: Clock, ids: Ids
    ) -> None:
        self._way_out = way_out
        http = HttpRunner(way_out, agent=agent, now=clock.now)
        self.inline = InlineHost(clock, http=http, random=ids.random)
        self.process = ProcessHost(
            ProcessSettings(
                workers=settings.workers, memory_limit=settings.worker_memory, log_level=settings.log_level
            )
        )
        self.command = CommandHost(
            CommandSettings(
                at_once=settings.commands,
                memory=settings.command_memory,
                processes=settings.command_processes,
                cpu_seconds=settings.command_cpu,
                file_size=settings.command_file_size,
            ),
            environment=minimal_environment(),
            data=settings.data,
            clock=clock,
        )
        self.router = RoutingHost(self.inline, self.process, self.command)

    async def serve(self, ready: Ready) -> None:
        """Keeps the workers until it is cancelled, then ends them and the watchdog.

        Before that, what commands of an earlier life are left is killed: what they did is about to be done again.

        Meanwhile what inline programs print and log is told apart from what this process says.
        """
        install()
        try:
            self.command.clear()
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self.command.watch(), name="watch commands")
                try:
                    await self.process.serve(ready)
                finally:
                    watch.cancel()
        finally:
            await self._way_out.close()
            self.inline.close()
            uninstall()
