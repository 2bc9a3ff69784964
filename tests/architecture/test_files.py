"""The files' manners: each says its duty in its first line, none is long, every room is known to the linter."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("runtime", "client", "proto", "tests", "benchmarks", "examples")
GENERATED = ROOT / "client/nightcrew/v1"
MAX_LINES = 400

OPENINGS = {".py": '"""', ".proto": "// ", ".sql": "-- "}


def _files(*suffixes):
    return [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes and GENERATED not in path.parents and "data" not in path.parts
    ]


def _named(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", _files(*OPENINGS), ids=_named)
def test_the_first_line_is_one_sentence_that_tells_the_duty(path):
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    opening = OPENINGS[path.suffix]
    assert first.startswith(opening), f"begins with {first!r}, not with {opening!r} and a sentence"
    sentence = first.removeprefix(opening).removesuffix('"""')
    assert re.fullmatch(r"[^\s].*\w.*[.:]", sentence), f"{first!r} is no whole sentence with an end"


@pytest.mark.parametrize("path", _files(".py", ".proto", ".sql", ".sh"), ids=_named)
def test_no_file_is_long(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"has {lines} lines; more than {MAX_LINES} are two duties"


def test_every_room_is_known_to_the_linter():
    rooms = {
        f"nightcrew.{path.name}"
        for root in ("runtime", "client")
        for path in (ROOT / root / "nightcrew").iterdir()
        if path.is_dir() and any(path.glob("*.py"))
    }
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert set(settings["root_packages"]) == rooms


def test_the_contracts_that_forbid_forget_no_room():
    """Each contract that lists rooms one by one (import-linter has no 'all but') names all but its own."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    rooms = {root.removeprefix("nightcrew.") for root in settings["root_packages"]}
    exempt = {
        "SQL stays in the store": {"store"},
        "Only the composition roots name the concrete store": {"store", "app", "testing"},
        "The wire stays in gateway, client and the worker protocol of hosts": {
            "gateway",
            "hosts",
            "v1",
            "client",
        },
        "lfx is loaded by the Langflow program only, in workers": set(),
        "Only the command line uses the client": {"cli", "client"},
    }
    contracts = {one["name"]: one for one in settings["contracts"]}
    for name, without in exempt.items():
        named = {room.removeprefix("nightcrew.") for room in contracts[name]["source_modules"]}
        assert named == rooms - without, name
    floors = {
        room for floor in contracts[settings["contracts"][0]["name"]]["layers"] for room in floor.split(" | ")
    }
    assert {room.removeprefix("nightcrew.") for room in floors} == rooms - {"v1", "client"}


@pytest.mark.parametrize("root", ["runtime", "client"])
def test_nightcrew_is_a_namespace_package(root):
    assert not (ROOT / root / "nightcrew/__init__.py").exists(), (
        "protoc's absolute imports need it to be none"
    )


def _imports(path):
    """(line, package, name) of every `from nightcrew.x import y`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nightcrew"):
            for alias in node.names:
                yield node.lineno, node.module, alias.name


@pytest.mark.parametrize(
    "path",
    [path for path in _files(".py") if path.parts[len(ROOT.parts)] in {"runtime", "client"}],
    ids=_named,
)
def test_nothing_imports_a_packages_own_init(path):
    """A name comes from the file that defines it: an __init__ that gathers names is where circles begin."""
    if path.name == "__init__.py":
        return  # what a package gives to people outside (nightcrew.agent, nightcrew.client, nightcrew.testing)
    for line, module, name in _imports(path):
        for root in ("runtime", "client"):
            package = ROOT / root / module.replace(".", "/")
            if (package / "__init__.py").exists():
                inner = (package / name).is_dir() or (package / f"{name}.py").exists()
                assert inner, f"line {line} takes {name} from the __init__ of {module}, not from its file"
