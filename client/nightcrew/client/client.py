"""The client: one address, and a face for each service behind it."""

from typing import Self

import grpc

from nightcrew.client.agents import Agents
from nightcrew.client.events import Events
from nightcrew.client.executions import Executions
from nightcrew.client.retry import RetryPolicy
from nightcrew.client.runtime import RuntimeFace
from nightcrew.client.schedules import Schedules
from nightcrew.client.transport import Transport

DEFAULT_ADDRESS = "127.0.0.1:7447"


class Client:
    """A client of one Nightcrew runtime, for asyncio.

    ```python
    async with Client() as crew:
        run = await crew.agents.trigger("digest", {"day": "monday"}, wait=10)
        print(run.state, run.result)
    ```

    It connects when it is first used, and stays useful over restarts of the server: calls that meet an
    unavailable one are tried again under their request id, and watches resume.

    Args:
        address: `HOST:PORT` or `unix:PATH`.
        timeout: Seconds that a call may take, its retries included.
        retry: How calls that meet an unavailable server are tried again.
        credentials: For TLS; plain text without.

    Attributes:
        agents: Agents, their lifecycle and their triggers.
        executions: Executions.
        schedules: Schedules and their fires.
        events: The event log.
        runtime: The runtime itself.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self._transport = Transport(
            address, timeout=timeout, retry=retry or RetryPolicy(), credentials=credentials
        )
        self.agents = Agents(self._transport)
        self.executions = Executions(self._transport)
        self.schedules = Schedules(self._transport)
        self.events = Events(self._transport)
        self.runtime = RuntimeFace(self._transport)

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._transport.address

    async def close(self) -> None:
        """Ends the watches and the connection; the client cannot be used again."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
