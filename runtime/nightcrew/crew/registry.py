"""The programs that `nightcrew up` was given: nothing else can run (semantics.md, What may run)."""

from collections.abc import Iterable, Mapping
from typing import Any

from nightcrew.domain.spec.program import Program
from nightcrew.ports.host import ProgramSource


class Registry:
    """Program sources by kind and key; looked up, never searched by attribute."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], ProgramSource] = {}
        self._faults: dict[tuple[str, str], str] = {}
        self._flows: dict[str, Mapping[str, Any]] = {}

    def put(self, sources: Iterable[ProgramSource]) -> None:
        """Adds sources; one of the same kind and key is replaced."""
        for source in sources:
            self._sources[source.kind, source.key] = source
            self._faults.pop((source.kind, source.key), None)

    def put_fault(self, kind: str, key: str, why: str) -> None:
        """Notes that a program was given but can't be loaded, and why."""
        self._faults[kind, key] = why

    def find(self, program: Program) -> ProgramSource | None:
        """The source of a program, or None if it was not given."""
        return self._sources.get((program.kind, program.key))

    def fault(self, program: Program) -> str:
        """Why a program that was given can't be loaded; empty if nothing is known."""
        return self._faults.get((program.kind, program.key), "")

    def put_flow(self, name: str, flow: Mapping[str, Any]) -> None:
        """Keeps a flow's JSON: what callers may tweak is decided from it."""
        self._flows[name] = flow

    def flow(self, program: Program) -> Mapping[str, Any]:
        """A flow's JSON, or an empty object if the program is none."""
        return self._flows.get(program.name, {}) if program.langflow else {}

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted: for messages that say what there is."""
        return sorted(source.name for source in self._sources.values() if source.kind == kind)
