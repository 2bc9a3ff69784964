"""A runtime in a box, for tests of agents: the real thing without gateways, on a clock that the test moves."""

import asyncio
import inspect
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import Any, Final, Self

from nightcrew.agent.definition import Definition, definition_of
from nightcrew.app.engine import Engine
from nightcrew.config.settings import load_settings
from nightcrew.domain.agent import Agent
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.execution import Execution
from nightcrew.domain.fire import Fire
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import MAX_PAGE_SIZE, ListQuery, Page
from nightcrew.keepers.waiting import PATIENCE
from nightcrew.ports.clock import Ids
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.discovery import Found
from nightcrew.programs.entry import Entry
from nightcrew.programs.modules import place
from nightcrew.programs.python import put_python
from nightcrew.services.executions import Triggering
from nightcrew.services.given import Given
from nightcrew.services.once import Request
from nightcrew.services.use_cases import UseCases
from nightcrew.store.sqlite.store import SqliteStore
from nightcrew.system.ids import SystemIds
from nightcrew.system.secrets import SystemSecrets
from nightcrew.testing.clock import ManualClock

_BY_TEST: Final = Request(method="box")
_STORE_TURN: Final = 0.0002
"""Seconds of real time between looks whether the store's thread is done."""
_CLOSING: Final = 1.0
"""Seconds of real time that the runtime has to close before virtual time passes for it."""


class Box:
    """A whole runtime in this process: a real store on disk, real supervision, and virtual time.

        async with Box(digest) as box:                   # `digest` is decorated with @agent
            execution = await box.run("digest", {"to": "me"})
            assert execution.result == '{"sent":1}'
            await box.advance(hours=24)                   # its cron fires, in no time
            assert len(await box.executions("digest")) == 2

    Async functions run on this loop, whatever their `isolation` says they would elsewhere; sync functions run
    in worker processes, which know nothing of virtual time: they must be module-level.

    Args:
        agents: Decorated functions and objects.
        folder: Where the store is; made for this box alone if it is not given. A second box on the folder of
            one that has ended goes on where that was, as a runtime that is started again.
        clock: The clock; one that begins on 2026-01-01 by default.
        ids: Where ids and the randomness of back-off come from.
        paths: Files with agents, as `nightcrew up` takes them.
        prune: As `nightcrew up --prune`.
        patience: Seconds of virtual time that keepers sleep at most. A runtime's look every 30 s for what nobody
            told them of; in a box that would take most of the time. What they are told of wakes them as ever.
    """

    def __init__(
        self,
        *agents: Any,
        folder: Path | None = None,
        clock: ManualClock | None = None,
        ids: Ids | None = None,
        paths: Sequence[Path] = (),
        prune: bool = False,
        patience: float = 3600.0,
    ) -> None:
        self.clock = clock or ManualClock()
        ids = ids or SystemIds()
        # The store makes it as it opens, for this user alone: a box that is never entered leaves nothing.
        self._temporary = Path(gettempdir()) / f"nightcrew-box-{ids.uuid7()}" if folder is None else None
        settings = load_settings(data=folder or self._temporary)
        self.engine = Engine(
            settings,
            paths,
            prune=prune,
            also=[given(one) for one in agents],
            clock=self.clock,
            ids=ids,
            store=SqliteStore(
                settings.data,
                clock=self.clock,
                ids=ids,
                vault=SystemSecrets(settings.data, key=settings.secret_key.get_secret_value()),
                on_loop=True,
            ),
            patience=patience,
        )
        self._deaf: Callable[[], None] = lambda: None
        self._life: asyncio.Task[None] | None = None

    @property
    def services(self) -> UseCases:
        """Every use case, as the gateways have them."""
        return self.engine.services

    async def __aenter__(self) -> Self:
        """Starts the runtime; raises what kept it from starting."""
        self._deaf = self.clock.on_shift(self._shifted)
        ready = asyncio.Event()
        self._life = asyncio.create_task(self.engine.run(ready.set), name="box")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([self._life, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self.settle()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops it; what runs is interrupted."""
        await self.stop()
        self._clean_up()

    async def stop(self) -> None:
        """Ends it as a crash would that loses nothing on disk: what runs is cancelled, nothing is written of it."""
        self.engine.stop()
        await self._closed()

    def _shifted(self) -> None:
        """The wall clock was set: a runtime notices it within its patience, and so does a box whose own is longer."""
        self.clock.call_later(PATIENCE, self._notice)

    def _notice(self) -> None:
        self.engine.bus.schedules.poke()
        self.engine.bus.timers.poke()

    async def _closed(self) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        self._deaf()
        # Closing takes real time. Only what does not end by itself needs the limits, which are on the clock.
        while not (await asyncio.wait([life], timeout=_CLOSING))[0]:
            await self.clock.leap_to_next()
        if life.exception() is not None:
            self._clean_up()
        await life

    def _clean_up(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    # ---- time ---------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Lets everything happen that can happen now; no time passes. Raises what ended the runtime, if it did."""
        while True:
            await self.clock.settle()
            if self.engine.ending or (self._life is not None and self._life.done()):
                await self._closed()
                return
            if not self.engine.store.busy:
                return
            await asyncio.sleep(_STORE_TURN)

    async def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Lets time pass; all that is due in it happens at its own moment, in order."""
        whole = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days).total_seconds()
        end = self.clock.monotonic() + whole
        await self.settle()
        while not self.engine.ending and self.clock.leap(until=end):
            await self.settle()
        await self.clock.advance(max(0.0, end - self.clock.monotonic()))
        await self.settle()

    async def until(self, condition: Callable[[], Any], *, limit: float = 3600.0) -> None:
        """Lets time pass, deadline after deadline, until a condition (or what it awaits) is true.

        Raises:
            TimeoutError: It is not after `limit` seconds of virtual time.
        """
        end = self.clock.monotonic() + limit
        await self.settle()
        while not await _truth(condition()):
            if not self.clock.leap(until=end):
                raise TimeoutError(f"the condition is not true after {limit} s of virtual time")
            await self.settle()

    # ---- agents and their work -----------------------------------------------------------------------------

    async def trigger(self, agent_id: str, data: Mapping[str, Any] | None = None, **wish: Any) -> Execution:
        """Triggers an agent by hand; returns the execution as it is on disk then."""
        wished = Triggering(agent_id=agent_id, request=_BY_TEST, input=data or {}, **wish)
        execution = await self.services.executions.trigger(wished)
        await self.settle()
        return execution

    async def run(
        self, agent_id: str, data: Mapping[str, Any] | None = None, *, limit: float = 3600.0
    ) -> Execution:
        """Triggers an agent and lets time pass until the execution has ended.

        Raises:
            TimeoutError: It has not ended after `limit` seconds of virtual time.
        """
        return await self.ended((await self.trigger(agent_id, data)).id, limit=limit)

    async def ended(self, execution_id: str, *, limit: float = 3600.0) -> Execution:
        """The execution once it has ended; time passes meanwhile.

        Raises:
            TimeoutError: It has not ended after `limit` seconds of virtual time.
        """

        async def final() -> bool:
            return (await self.execution(execution_id)).state.final

        await self.until(final, limit=limit)
        return await self.execution(execution_id)

    async def agent(self, agent_id: str) -> Agent:
        """The agent as it is now."""
        return await self.services.agents.get(agent_id)

    async def execution(self, execution_id: str) -> Execution:
        """The execution as it is now."""
        return await self.services.executions.get(execution_id)

    async def executions(self, agent_id: str = "") -> list[Execution]:
        """All executions (of one agent), the oldest first."""
        found = await _all(self.services.executions.page)
        return [one for one in reversed(found) if agent_id in {"", one.agent_id}]

    async def fires(self, agent_id: str = "") -> list[Fire]:
        """The ledger (of one agent), the earliest nominal time first."""
        found = await _all(self.services.schedules.fires)
        return [one for one in reversed(found) if agent_id in {"", one.agent_id}]

    async def logs(self, execution_id: str) -> list[LogEntry]:
        """What an execution said, in order."""
        return (await self.services.logs.page(execution_id, ListQuery(page_size=MAX_PAGE_SIZE))).items


def given(target: Any) -> Given:
    """A decorated object as the runtime takes it from a file.

    Raises:
        InvalidArgument: It is not decorated, or is a sync function that a worker could not import.
    """
    definition = definition_of(target)
    if definition is None:
        raise InvalidArgument.of("agents", f"{target!r} is no agent; decorate it with @agent")
    file = inspect.getsourcefile(inspect.unwrap(target)) if inspect.isroutine(target) else None
    path = str(Path(file).resolve()) if file else f"/{definition.module.replace('.', '/')}.py"
    root, module = place(path)
    name = str(getattr(target, "__name__", definition.manifest.id.replace("-", "_")))
    entry = Entry.of(target, path=path)
    if not entry.is_async and "<locals>" in getattr(target, "__qualname__", ""):
        raise InvalidArgument.of(
            "agents", f"{name} is sync and runs in a worker process: make it module-level"
        )
    located = _located(definition, module, name)
    source = ProgramSource(
        kind="python",
        name=located.manifest.spec.program.name,
        path=path,
        root=root,
        module=module,
        attribute=name,
        is_async=entry.is_async,
    )
    put_python(source, target)
    return Given(path, Found(source, located))


def _located(definition: Definition, module: str, name: str) -> Definition:
    return replace(definition.located(module, name), module=module)


async def _truth(value: Any) -> bool:
    return bool(await value if inspect.isawaitable(value) else value)


async def _all(page: Callable[[ListQuery], Any]) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        one: Page[Any] = await page(ListQuery(page_size=MAX_PAGE_SIZE, page_token=token))
        found += one.items
        token = one.next_page_token
        if not token:
            return found
