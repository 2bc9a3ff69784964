"""New code against the journals of what waits, before it goes live: what `nightcrew check` does."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightcrew.config.settings import Settings
from nightcrew.domain.execution import Execution
from nightcrew.domain.resident import state_refusal
from nightcrew.domain.spec.program import Isolation
from nightcrew.domain.values import decode
from nightcrew.hosts.replay import replay
from nightcrew.ports.clock import Clock, Ids
from nightcrew.ports.host import Failed, Interrupted, Job, NotLoaded, Outcome, Parked, ProgramSource
from nightcrew.ports.replays import Fit, Replayed, Resumable
from nightcrew.programs.discovery import Fault
from nightcrew.services.given import gather
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.journals import resumable
from nightcrew.store.sqlite.migrate import shipped

LIMIT = 10.0
"""Seconds that a program may take to come to the end of its journal."""


@dataclass
class Check:
    """The programs of some files, and whether they fit the journals of a data folder.

    Args:
        settings: Name the data folder.
        paths: As `nightcrew up` is given them.
        clock: For the programs' logs.
        ids: Gives the programs their randomness.

    Attributes:
        faults: What is wrong with the files.
    """

    settings: Settings
    paths: Sequence[Path]
    clock: Clock
    ids: Ids
    faults: list[Fault] = field(default_factory=list)

    async def run(self) -> AsyncIterator[Replayed]:
        """Replays every execution that would go on with this code, the oldest first; changes nothing.

        Raises:
            StoreError: There is no store, or it can't be read.
        """
        gathered = gather(self.paths)
        self.faults = gathered.faults
        of_agents = {one.agent_id: one.found.source for one in gathered.agents}
        by_key = {(one.kind, one.key): one for one in of_agents.values()}
        for one in resumable(self.settings.data / FILE_NAME, shipped()):
            program = one.agent.spec.program
            source = by_key.get((program.kind, program.key)) or of_agents.get(one.agent.id)
            yield await self._replayed(one, source)

    async def _replayed(self, one: Resumable, source: ProgramSource | None) -> Replayed:
        execution = one.execution
        fit, message = Fit.MISSING, f"no program of agent {one.agent.id!r} is in what was given"
        if source is not None and source.kind == "python":
            try:
                outcome = await replay(
                    _job(one, source), clock=self.clock, random=self.ids.random, limit=LIMIT
                )
            except TimeoutError:
                fit, message = Fit.STUCK, f"it does not come to the end of its journal within {LIMIT:g} s"
            else:
                fit, message = _judged(outcome)
        return Replayed(execution.id, one.agent.id, len(one.journal), fit, message)


def _judged(outcome: Outcome) -> tuple[Fit, str]:
    match outcome:
        case Parked(message):
            return Fit.PARKS, message
        case NotLoaded(error):
            return Fit.MISSING, error.message
        case Failed(error):
            return Fit.FAILS, f"{error.type}: {error.message}"
        case Interrupted(reason, message):
            return Fit.FAILS, message or reason
        case _:
            return Fit.FITS, ""


def _job(one: Resumable, source: ProgramSource) -> Job:
    execution, agent = one.execution, one.agent
    refusal = state_refusal(agent, execution.trigger.kind)
    return Job(
        execution_id=execution.id,
        lease=execution.lease,
        agent_id=agent.id,
        attempt=execution.attempt,
        program=agent.spec.program,
        source=source,
        input=_input(execution),
        isolation=Isolation.INLINE,
        trigger=execution.trigger,
        labels=dict(execution.labels),
        memory=None if refusal else decode(one.memory),
        memory_refusal=refusal,
        journal=one.journal,
        replay=True,
    )


def _input(execution: Execution) -> dict[str, Any]:
    value: dict[str, Any] = decode(execution.input)
    return value
