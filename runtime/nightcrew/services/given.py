"""What the PATHs of `nightcrew up` hold, file by file: agents, and what is wrong with files."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nightcrew.domain.yaml_text import YamlFault, documents
from nightcrew.programs.discovery import Discovery, Fault, Found, discover, python_files
from nightcrew.programs.flows import discover_flow, nodes_of
from nightcrew.programs.modules import place
from nightcrew.services.manifests import discover_manifests

YAML: Final = frozenset({".yaml", ".yml"})
JSON: Final = ".json"
PYTHON: Final = ".py"


@dataclass(frozen=True, slots=True)
class Given:
    """One agent and the file that gives it: of an agent in a manifest that is the manifest."""

    path: str
    found: Found

    @property
    def agent_id(self) -> str:
        """The agent's id."""
        return self.found.definition.manifest.id


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that was given."""

    agents: list[Given] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Files with a fault: their agents that are not among `agents` could not be loaded."""

    def add(self, path: str, discovery: Discovery) -> None:
        """Adds what one file holds. A fault may lie in a file that it imports: broken is this one too."""
        self.agents.extend(Given(path, one) for one in discovery.found)
        self.refuse(path, *discovery.faults)

    def refuse(self, path: str, *faults: Fault) -> None:
        """Adds what is wrong with a file."""
        if faults:
            self.faults.extend(faults)
            self.broken.add(path)


def gather(paths: Sequence[Path], *, also: Sequence[Given] = ()) -> Gathered:
    """Reads every file; a fault of one does not stop the others. Blocks while Python files are imported.

    Args:
        paths: What `up` was given.
        also: Agents that are at hand already.
    """
    gathered = Gathered(agents=list(also))
    files = list(dict.fromkeys(file for path in paths for file in _files(path, gathered)))
    modules = {str(file): place(str(file)) for file in files if file.suffix == PYTHON}
    twins = _module_twins(modules)
    for twin, module in twins.items():
        others = " and ".join(path for path, name in twins.items() if name == module)
        gathered.refuse(twin, Fault(twin, 0, f"two files are the module {module!r}: {others}; rename one"))
    for file in files:
        if file.suffix == PYTHON and str(file) not in twins:
            gathered.add(str(file), discover(file))
        elif file.suffix == JSON:
            gathered.add(str(file), discover_flow(file))
    # Manifests come last: they may name what the others hold.
    folders = [path.resolve() for path in paths if path.is_dir()]
    roots = list(dict.fromkeys([*(Path(root) for root, _ in modules.values()), *folders]))
    known = [one.found.source for one in gathered.agents]
    for file in files:
        if file.suffix in YAML:
            discovery = discover_manifests(file, roots=roots, known=known, refused=set(twins.values()))
            gathered.add(str(file), discovery)
    return _without_twins(_without_ambiguous(gathered))


def _files(path: Path, gathered: Gathered) -> Iterator[Path]:
    """The files of a PATH; what lies in a folder and has nothing to do with agents is passed over."""
    start = path.resolve()
    if start.is_dir():
        yield from python_files(start)
        for file in sorted(start.iterdir()):
            if (file.suffix == JSON and _may_be_flow(file)) or (
                file.suffix in YAML and _may_be_manifest(file)
            ):
                yield file
    elif start.suffix in {PYTHON, JSON, *YAML}:
        yield start
    else:
        what = "is no Python file (.py), manifest (.yaml), flow (.json) or folder of these"
        gathered.refuse(str(start), Fault(str(path), 0, what))


def _may_be_flow(file: Path) -> bool:
    """Whether it is a flow, or so wrong that its author must hear of it."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(value, Mapping) and nodes_of(value) is not None


def _may_be_manifest(file: Path) -> bool:
    """Whether a document in it looks like an agent, or is so wrong that its author must hear of it."""
    try:
        values = [document.value for document in documents(file.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError, YamlFault):
        return True
    return any(isinstance(value, Mapping) and ("spec" in value or "id" in value) for value in values)


def _module_twins(modules: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Files whose module's name is another's too."""
    counts = Counter(module for _, module in modules.values())
    return {file: module for file, (_, module) in modules.items() if counts[module] > 1}


def _without_ambiguous(gathered: Gathered) -> Gathered:
    """Commands are known by what their files say of them: two of one content that run elsewhere can't be told apart."""
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for one in gathered.agents:
        command = one.found.definition.manifest.spec.program.command
        if command is not None:
            source = one.found.source
            folders[source.key].add(str(Path(source.root, command.working_directory)))
    kept = []
    for one in gathered.agents:
        where = sorted(folders.get(one.found.source.key, ()))
        if len(where) < 2:  # noqa: PLR2004 - two are one too many
            kept.append(one)
            continue
        what = (
            f"agent {one.agent_id!r}: the same command is named for several folders ({', '.join(where)}):"
            " write its working_directory in full"
        )
        gathered.refuse(one.path, Fault(one.path, 0, what))
    gathered.agents[:] = kept
    return gathered


def _without_twins(gathered: Gathered) -> Gathered:
    """Of two agents of one id neither is loaded, and every file that gives one is named."""
    by_id: defaultdict[str, list[Given]] = defaultdict(list)
    for one in gathered.agents:
        by_id[one.agent_id].append(one)
    for agent_id, twins in by_id.items():
        if len(twins) > 1:
            files = sorted({one.path for one in twins})
            where = " and ".join(files) if len(files) > 1 else f"in {files[0]}"
            for path in files:
                gathered.refuse(path, Fault(path, 0, f"the agent id {agent_id!r} is given twice: {where}"))
    gathered.agents[:] = [one for one in gathered.agents if len(by_id[one.agent_id]) == 1]
    return gathered
