"""What `nightcrew up` was given: its files are discovered, its programs registered, its agents written.

The rules are contract.md's 'What `up` owns': a spec is applied when its digest has changed since the last
`up`; until then what people changed over the API stands.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from nightcrew.crew.agent_moves import move_agent
from nightcrew.crew.commits import After, Commits
from nightcrew.crew.faults import clear_fault, fail_agent
from nightcrew.crew.registry import Registry
from nightcrew.domain.agent import AgentSource, AgentState
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.values import encode
from nightcrew.ports.clock import Clock
from nightcrew.ports.store import Transaction
from nightcrew.programs.discovery import Discovery, Fault, Found, discover
from nightcrew.programs.flows import discover_flow, read_flow
from nightcrew.services.agents import add_agent, change_agent, remove_agent
from nightcrew.services.guard import Guard
from nightcrew.services.manifests import discover_manifests

_YAML: Final = {".yaml", ".yml"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an `up` did with the files it was given."""

    agents: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)


class Catalog:
    """Discovers once, at the start of the process; applies whenever its component starts."""

    def __init__(
        self, *, paths: Sequence[Path], commits: Commits, registry: Registry, guard: Guard, clock: Clock
    ) -> None:
        self._paths = paths
        self._commits = commits
        self._registry = registry
        self._guard = guard
        self._clock = clock
        self._found: list[Found] = []
        self._faults: list[Fault] = []

    def discover(self) -> None:
        """Reads every file; a fault of one is kept and does not stop the others. Blocks while files are imported."""
        discoveries = list(_discoveries(self._paths))
        found, faults = _without_twins([one for each in discoveries for one in each.found])
        self._faults = [fault for each in discoveries for fault in each.faults] + faults
        self._registry.put(one.source for one in found)
        for one in found:
            if one.source.kind == "langflow":
                self._registry.put_flow(one.source.name, read_flow(one.source.path))
        self._found = []
        for one in found:
            try:
                self._guard.check_manifest(one.definition.manifest, field="", from_api=False)
                self._found.append(one)
            except InvalidArgument as error:
                self._faults.append(
                    Fault(one.source.path, 0, f"agent {one.definition.manifest.id!r}: {error}")
                )

    async def apply(self, *, prune: bool = False) -> Report:
        """Writes what the files say, in one transaction."""
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> Report:
            return self._apply(tx, after, prune=prune, now=now)

        return await self._commits.run(unit)

    def _apply(self, tx: Transaction, after: After, *, prune: bool, now: datetime) -> Report:
        report = Report(faults=list(self._faults))
        broken = {fault.path for fault in self._faults}
        for one in self._found:
            _write(tx, after, one, now=now)
            report.agents.append(one.definition.manifest.id)
        for source in tx.agents.sources():
            if source.agent_id in report.agents or source.deleted:
                continue
            if source.path in broken:
                fail_agent(tx, after, source.agent_id, reason="program_load", now=now)
                continue
            agent = tx.agents.get(source.agent_id)
            if prune and agent is not None:
                remove_agent(tx, after, agent, force=True, now=now)
                tx.agents.drop_source(source.agent_id)
                report.pruned.append(source.agent_id)
            else:
                fail_agent(tx, after, source.agent_id, reason="source_missing", now=now)
                report.missing.append(source.agent_id)
        self._clear(tx, after, now=now, missing=set(report.missing))
        return report

    def _clear(self, tx: Transaction, after: After, *, now: datetime, missing: set[str]) -> None:
        """Agents in an ERROR about their program come back when it can be found again."""
        for agent_id in tx.agents.ids(states=(AgentState.ERROR,)):
            agent = tx.agents.get(agent_id)
            if agent is not None and agent_id not in missing and self._registry.find(agent.spec.program):
                clear_fault(tx, after, agent_id, now=now)


def _write(tx: Transaction, after: After, one: Found, *, now: datetime) -> None:
    definition = one.definition
    manifest = definition.manifest
    agent = tx.agents.get(manifest.id)
    known = tx.agents.source(manifest.id)
    source = AgentSource(agent_id=manifest.id, path=one.source.path, digest=digest(manifest))
    if agent is None:
        if known is not None and known.deleted and known.digest == source.digest:
            return  # deleted by hand: it stays away until its file changes
        agent = add_agent(tx, after, manifest, agent_id=manifest.id, now=now)
        if definition.start:
            move_agent(tx, after, agent, AgentEvent.START, now=now, reason="first seen by `nightcrew up`")
    elif known is None or known.digest != source.digest:
        change_agent(tx, after, agent, manifest, now=now)
    tx.agents.set_source(source)


def digest(manifest: Manifest) -> str:
    """What identifies a spec as its file gives it."""
    return hashlib.sha256(encode(manifest.to_json()).encode()).hexdigest()


def _discoveries(paths: Sequence[Path]) -> Iterable[Discovery]:
    """Python files and flows first: manifests may name what they hold."""
    later: list[Path] = []
    sources: list[Found] = []
    for path in paths:
        folder = path.is_dir()
        if path.suffix in _YAML and not folder:
            later.append(path)
            continue
        if path.suffix == ".json" and not folder:
            found = [discover_flow(path)]
        else:
            found = [discover(path)]
            if folder:
                found += [discover_flow(file) for file in sorted(path.glob("*.json"))]
                later += sorted(file for file in path.iterdir() if file.suffix in _YAML)
        for one in found:
            sources += one.found
            yield one
    roots = [path if path.is_dir() else path.parent for path in paths]
    for path in later:
        yield discover_manifests(path.resolve(), roots=roots, known=[one.source for one in sources])


def _without_twins(found: Sequence[Found]) -> tuple[list[Found], list[Fault]]:
    """Two agents of one id, or two modules of one stem: neither is loaded, both files are named."""
    by_id: defaultdict[str, set[str]] = defaultdict(set)
    counts: defaultdict[str, int] = defaultdict(int)
    by_module: defaultdict[str, set[str]] = defaultdict(set)
    for one in found:
        by_id[one.definition.manifest.id].add(one.source.path)
        counts[one.definition.manifest.id] += 1
        if one.source.module:
            by_module[one.source.module].add(one.source.path)
    faults: list[Fault] = []
    bad_ids = {agent_id for agent_id, count in counts.items() if count > 1}
    bad_modules = {module for module, paths in by_module.items() if len(paths) > 1}
    for agent_id in sorted(bad_ids):
        paths = sorted(by_id[agent_id])
        faults += [
            Fault(path, 0, f"the agent id {agent_id!r} is given twice: {' and '.join(paths)}")
            for path in paths
        ]
    for module in sorted(bad_modules):
        paths = sorted(by_module[module])
        faults += [
            Fault(path, 0, f"two files are the module {module!r}: {' and '.join(paths)}") for path in paths
        ]
    kept = [
        one
        for one in found
        if one.definition.manifest.id not in bad_ids and one.source.module not in bad_modules
    ]
    return kept, faults
