"""The hosts, put together: inline and worker processes behind one router, as one component."""

import asyncio

from nightcrew.actor.child import Ready
from nightcrew.config.settings import Settings
from nightcrew.domain.spec.program import Isolation
from nightcrew.hosts.inline import InlineHost
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.host import ProgramSource


class Hosts:
    """TEMP."""

    def __init__(self, settings: Settings, *, clock: Clock, ids: Ids) -> None:
        del settings, ids
        self.router = InlineHost(clock)

    def placement(self, asked: Isolation, source: ProgramSource) -> Isolation:
        del asked, source
        return Isolation.INLINE

    async def serve(self, ready: Ready) -> None:
        ready()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.router.close()
