"""What agents a Python file, a package or a folder holds: sources, definitions, and what is wrong with files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from nightcrew.agent.definition import Definition, definition_of
from nightcrew.domain.errors import NightcrewError
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.entry import Entry
from nightcrew.programs.errors import LoadError
from nightcrew.programs.modules import find_object, import_file, place

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "venv"})


@dataclass(frozen=True, slots=True)
class Found:
    """One decorated object."""

    source: ProgramSource
    definition: Definition


@dataclass(frozen=True, slots=True)
class Fault:
    """One file that can't be read; `line` is 0 if none can be named."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """`file:line: message`."""
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found and what was wrong; one bad file never hides the others."""

    found: tuple[Found, ...] = ()
    faults: tuple[Fault, ...] = ()


def discover(path: str | Path) -> Discovery:
    """The agents of a Python file, a package (with its modules), or a folder of files and packages.

    Blocks while the files are imported; never raises for a file's fault.
    """
    found: list[Found] = []
    faults: list[Fault] = []
    start = Path(path).resolve()
    if not start.exists():
        return Discovery(faults=(Fault(str(path), 0, "does not exist"),))
    for file in python_files(start):
        try:
            found.extend(_in_file(str(file)))
        except LoadError as error:
            faults.append(Fault(error.path, error.line, error.reason))
        except NightcrewError as error:
            faults.append(Fault(str(file), 0, error.message))
    return Discovery(tuple(found), tuple(faults))


def python_files(path: Path) -> Iterator[Path]:
    """The Python files of a PATH, sorted; hidden folders, environments and caches are left out."""
    if path.is_file():
        if path.suffix == ".py":
            yield path
        return
    for entry in sorted(path.iterdir()) if path.is_dir() else ():
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        inside = (path / "__init__.py").is_file()
        if entry.is_dir() and (entry / "__init__.py").is_file():
            yield from python_files(entry)
        elif entry.is_file() and entry.suffix == ".py" and _importable(entry, inside=inside):
            yield entry


def locate(entrypoint: str, roots: Sequence[str | Path]) -> ProgramSource:
    """The source of a manifest's `package.module:object`, looked up below the given folders.

    Raises:
        LoadError: No such file or object below them, or its code raised.
    """
    module, _, attribute = entrypoint.partition(":")
    for root in roots:
        base = Path(root).resolve().joinpath(*module.split("."))
        for file in (base.with_name(base.name + ".py"), base / "__init__.py"):
            if file.is_file():
                loaded = import_file(str(file), root=str(Path(root).resolve()), module=module)
                return _source(loaded, str(file), str(Path(root).resolve()), attribute)
    looked = ", ".join(str(root) for root in roots) or "no folder"
    raise LoadError(f"no module {module!r} below {looked}", path=entrypoint)


def _in_file(path: str) -> list[Found]:
    root, module = place(path)
    if not all(part.isidentifier() for part in module.split(".")):
        raise LoadError(f"{module!r} is no module name; rename the file", path=path)
    loaded = import_file(path, root=root, module=module)
    chosen: dict[int, tuple[str, Definition]] = {}
    for name, value in vars(loaded).items():
        definition = definition_of(value)
        if definition is None or definition.module != module:
            continue
        # Of several names for one object its own comes first.
        if id(value) not in chosen or name == getattr(value, "__name__", None):
            chosen[id(value)] = (name, definition)
    return [
        Found(_source(loaded, path, root, name), definition.located(module, name))
        for name, definition in chosen.values()
    ]


def _source(loaded: ModuleType, path: str, root: str, attribute: str) -> ProgramSource:
    target = find_object(loaded, attribute, path=path)
    return ProgramSource(
        kind="python",
        name=f"{loaded.__name__}:{attribute}",
        path=path,
        root=root,
        module=loaded.__name__,
        attribute=attribute,
        is_async=Entry.of(target, path=path).is_async,
    )


def _importable(entry: Path, *, inside: bool) -> bool:
    # `__main__` runs on import; a plain folder's `setup.py` and `conftest.py` belong to tools, not to agents.
    return entry.name != "__main__.py" and (inside or entry.name not in {"setup.py", "conftest.py"})
