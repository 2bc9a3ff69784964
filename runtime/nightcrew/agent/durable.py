"""What a journal does for a program: the port behind the durable half of the Context."""

# ruff: noqa: ASYNC109 - the time limits are durable ones, not asyncio's

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from nightcrew.agent.retry import Retry


class Durable(Protocol):
    """Does things once and remembers them, however often the program is run again."""

    @property
    def step_key(self) -> str:
        """Of the step that runs now, the same in every attempt; of the execution itself outside of steps."""

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

    async def sleep(self, span: timedelta) -> None:
        """Waits for time to pass."""

    async def wait_signal(self, name: str, *, timeout: timedelta | None, message: str) -> Any:
        """Waits for a signal and returns its payload."""

    async def wait_event(self, kind: str, *, filter: str, timeout: timedelta | None) -> dict[str, Any]:  # noqa: A002 - the contract's word
        """Waits for an event that matches and returns it."""

    async def call(self, agent_id: str, given: Mapping[str, Any], *, timeout: timedelta | None) -> Any:
        """Has another agent run and returns its result."""

    async def publish(
        self, kind: str, data: Any, *, source: str, subject: str, extensions: Mapping[str, str]
    ) -> None:
        """Publishes an event, once."""

    async def spend(self, name: str, amount: float) -> None:
        """Counts what was spent, once."""

    async def signal_url(self, name: str, *, ttl: timedelta, payload: Sequence[Any]) -> str:
        """An address that gives a signal, once; `payload` holds what it brings, if it brings something itself."""

    async def now(self) -> datetime:
        """The time, journaled."""

    async def random(self) -> float:
        """A number in [0, 1), journaled."""

    async def save_state(self) -> None:
        """Saves `ctx.state` at once."""

    def heartbeat(self, details: Any) -> None:
        """Gives a sign of life."""

    def progress(self, done: float, total: float, message: str) -> None:
        """Says how far it has got."""
