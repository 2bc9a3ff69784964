"""The event triggers by what they match on, in memory: an event finds its candidates without walking all agents."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple


class TriggerRow(NamedTuple):
    """A trigger as its table has it: `types` are exact, or prefixes with `*` at their ends; an empty source is any."""

    agent_id: str
    trigger_id: str
    types: tuple[str, ...]
    source: str


Ref = tuple[str, str]
_Key = tuple[str, str]
_WILD: Final = "*"


class TriggerIndex:
    """Triggers by (type, source) and by (prefix of a type, source).

    A look-up costs two steps, and two more for each length that a prefix has, however many triggers there are.
    """

    def __init__(self) -> None:
        self._of_agent: dict[str, tuple[TriggerRow, ...]] = {}
        # Dictionaries for sets: they keep their order, and a removal costs one step.
        self._exact: dict[_Key, dict[Ref, None]] = {}
        self._prefixes: dict[_Key, dict[Ref, None]] = {}
        self._lengths: Counter[int] = Counter()

    def __len__(self) -> int:
        """How many agents have triggers."""
        return len(self._of_agent)

    def of(self, agent_id: str) -> tuple[TriggerRow, ...]:
        """An agent's triggers."""
        return self._of_agent.get(agent_id, ())

    def put(self, agent_id: str, rows: Iterable[TriggerRow]) -> None:
        """Replaces an agent's triggers."""
        for row in self._of_agent.pop(agent_id, ()):
            for kind in row.types:
                self._remove(kind, row)
        kept = tuple(rows)
        for row in kept:
            for kind in row.types:
                self._add(kind, row)
        if kept:
            self._of_agent[agent_id] = kept

    def candidates(self, kind: str, source: str) -> Sequence[Ref]:
        """The triggers that may match an event of this type and source, by agent and trigger."""
        found: dict[Ref, None] = {}
        for key in ((kind, source), (kind, "")):
            if refs := self._exact.get(key):
                found.update(refs)
        for length in self._lengths:
            if length <= len(kind):
                for key in ((kind[:length], source), (kind[:length], "")):
                    if refs := self._prefixes.get(key):
                        found.update(refs)
        return sorted(found)

    def _add(self, kind: str, row: TriggerRow) -> None:
        ref = (row.agent_id, row.trigger_id)
        if kind.endswith(_WILD):
            refs = self._prefixes.setdefault((kind[:-1], row.source), {})
            self._lengths[len(kind) - 1] += ref not in refs
        else:
            refs = self._exact.setdefault((kind, row.source), {})
        refs[ref] = None

    def _remove(self, kind: str, row: TriggerRow) -> None:
        wild = kind.endswith(_WILD)
        table, key = (self._prefixes, kind[:-1]) if wild else (self._exact, kind)
        refs = table[key, row.source]
        del refs[row.agent_id, row.trigger_id]
        if not refs:
            del table[key, row.source]
        if wild:
            self._lengths[len(key)] -= 1
            if not self._lengths[len(key)]:
                del self._lengths[len(key)]
