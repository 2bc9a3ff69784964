"""What `nightcrew up` was given: its files are discovered, its programs registered, its agents written.

The rules are contract.md's 'What `up` owns': a spec is applied when its digest has changed since the last
`up`; until then what people changed over the API stands.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.faults import clear_fault, fail_agent
from nightcrew.crew.registry import Registry
from nightcrew.domain.agent import AgentSource, AgentState
from nightcrew.domain.errors import InvalidArgument, SecretUnavailable
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.values import encode
from nightcrew.domain.webhook.keeping import keeping
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import ProgramSource
from nightcrew.ports.secrets import Secrets
from nightcrew.ports.store import Transaction
from nightcrew.programs.discovery import Fault
from nightcrew.programs.flows import read_flow
from nightcrew.services.agents import add_agent, change_agent, remove_agent
from nightcrew.services.given import Gathered, Given, gather
from nightcrew.services.guard import Guard

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an `up` did with the files it was given.

    Attributes:
        agents: The ids of the agents they hold.
        faults: What is wrong with files.
        failed: Agents that can't be loaded now: their file has a fault.
        missing: Agents whose source is gone.
        pruned: Agents that were deleted for that.
    """

    agents: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)


class Catalog:
    """Discovers once, at the start of the process; applies whenever its component starts.

    Args:
        paths: What `up` was given.
        also: Agents that are at hand without a PATH.
        commits: The way to the store.
        registry: Where programs are looked up.
        guard: Checks what the files say.
        secrets: Tells whether the secrets that a file gives have changed.
        clock: Dates what is written.
    """

    def __init__(
        self,
        *,
        paths: Sequence[Path],
        also: Sequence[Given] = (),
        commits: Commits,
        registry: Registry,
        guard: Guard,
        secrets: Secrets,
        clock: Clock,
    ) -> None:
        self._paths = paths
        self._also = also
        self._commits = commits
        self._registry = registry
        self._guard = guard
        self._secrets = secrets
        self._clock = clock
        self._given = Gathered()

    def discover(self) -> None:
        """Reads every file; a fault of one is kept and does not stop the others. Blocks while files are imported."""
        given = gather(self._paths, also=self._also)
        for one in given.agents:
            self._register(one.found.source)
        kept = []
        for one in given.agents:
            try:
                self._guard.check_manifest(one.found.definition.manifest, field="", from_api=False)
            except InvalidArgument as error:
                given.refuse(one.path, Fault(one.path, 0, f"agent {one.agent_id!r}: {error}"))
            else:
                kept.append(one)
        given.agents[:] = kept
        self._given = given

    def _register(self, source: ProgramSource) -> None:
        # What may not run is not there to be found: agents that were made while it might have been fail clearly.
        if why := self._guard.closed_kind(source.kind):
            self._registry.put_fault(source.kind, source.key, why)
            return
        self._registry.put([source])
        if source.kind == "langflow":
            self._registry.put_flow(source.name, read_flow(source.path))

    async def apply(self, *, prune: bool = False) -> Report:
        """Writes what the files say, in one transaction."""
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Report:
            return self._apply(tx, after, prune=prune, now=now)

        return await self._commits.run(unit)

    def _apply(self, tx: Transaction, after: After, *, prune: bool, now: datetime) -> Report:
        given = self._given
        report = Report(agents=[one.agent_id for one in given.agents], faults=list(given.faults))
        for one in given.agents:
            try:
                sum_of = digest(one.found.definition.manifest, self._secrets)
            except SecretUnavailable as error:
                report.faults.append(Fault(one.path, 0, f"agent {one.agent_id!r}: {error}"))
            else:
                _write(tx, after, one, sum_of, now=now)
        here = set(report.agents)
        for source in tx.agents.sources():
            if source.agent_id in here or source.deleted:
                continue
            agent = tx.agents.get(source.agent_id)
            if source.path in given.broken:
                fail_agent(tx, after, source.agent_id, reason="program_load", now=now)
                report.failed.append(source.agent_id)
            elif prune and agent is not None:
                remove_agent(tx, after, agent, force=True, now=now)
                tx.agents.drop_source(source.agent_id)
                report.pruned.append(source.agent_id)
            else:
                fail_agent(tx, after, source.agent_id, reason="source_missing", now=now)
                report.missing.append(source.agent_id)
        self._clear(tx, after, now=now, gone={*report.failed, *report.missing})
        return report

    def _clear(self, tx: Transaction, after: After, *, now: datetime, gone: set[str]) -> None:
        """Agents in an ERROR about their program come back when it can be found again."""
        for agent_id in tx.agents.ids(states=(AgentState.ERROR,)):
            agent = tx.agents.get(agent_id)
            if agent is not None and agent_id not in gone and self._registry.find(agent.spec.program):
                clear_fault(tx, after, agent_id, now=now)


def _write(tx: Transaction, after: After, one: Given, sum_of: str, *, now: datetime) -> None:
    definition = one.found.definition
    manifest = definition.manifest
    agent = tx.agents.get(manifest.id)
    known = tx.agents.source(manifest.id)
    source = AgentSource(agent_id=manifest.id, path=one.path, digest=sum_of)
    if agent is None:
        if known is not None and known.deleted and known.digest == source.digest:
            return  # deleted by hand: it stays away until its file changes
        agent = add_agent(tx, after, manifest, agent_id=manifest.id, now=now)
        if definition.start:
            move_agent(tx, after, agent, AgentEvent.START, now=now, reason="first seen by `nightcrew up`")
    elif known is None or known.digest != source.digest:
        change_agent(tx, after, agent, manifest, now=now)
    if known != source:
        tx.agents.set_source(source)


def digest(manifest: Manifest, secrets: Secrets) -> str:
    """What identifies a spec as its file gives it, its secrets included, from which they can't be guessed.

    Raises:
        SecretUnavailable: It gives secrets, and there is no key for them.
    """
    text = encode(manifest.to_json())
    if given := keeping(manifest.spec, None).given:
        text += secrets.fingerprint(encode({name: list(texts) for name, texts in given.items()}))
    return hashlib.sha256(text.encode()).hexdigest()
