"""The hosts, put together: the loop and the worker processes behind one router, as one component."""

from nightcrew.actor.child import Ready
from nightcrew.config.settings import Settings
from nightcrew.hosts.inline import InlineHost
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings
from nightcrew.hosts.router import RoutingHost
from nightcrew.ports.clock import Clock
from nightcrew.system.capture import install, uninstall


class Hosts:
    """Where programs run; `router` is what the executor hands jobs to."""

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self.inline = InlineHost(clock)
        self.process = ProcessHost(
            ProcessSettings(
                workers=settings.workers, memory_limit=settings.worker_memory, log_level=settings.log_level
            )
        )
        self.router = RoutingHost(self.inline, self.process)

    async def serve(self, ready: Ready) -> None:
        """Keeps the workers until it is cancelled, then ends them and the watchdog.

        Meanwhile what inline programs print and log is told apart from what this process says.
        """
        install()
        try:
            await self.process.serve(ready)
        finally:
            self.inline.close()
            uninstall()
