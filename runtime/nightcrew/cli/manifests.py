"""Agent manifests: YAML files in, agents out, and faults told by file and line."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from nightcrew.cli.refusal import REFUSED, WRONG_USE
from nightcrew.client.errors import InvalidArgument, InvalidRequest
from nightcrew.domain.yaml_text import Document, YamlFault, documents

_ENDINGS = (".yaml", ".yml")
_INDEXED = re.compile(r"agents\[(\d+)\]\.?(.*)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One agent of a manifest file."""

    path: str
    document: Document

    @property
    def data(self) -> dict[str, Any]:
        """The agent, as protobuf's JSON."""
        value: dict[str, Any] = self.document.value
        return value

    def where(self, field: str = "") -> str:
        """`FILE:LINE` of a field."""
        return f"{self.path}:{self.document.line(field)}"


def load(paths: Sequence[Path]) -> list[Manifest]:
    """The agents of files, of the YAML files in folders (and theirs), and of stdin (`-`).

    Raises:
        typer.Exit: With code 2, after every fault was told by its file and line.
    """
    found: list[Manifest] = []
    faults: list[str] = []
    for path in paths:
        if not path.is_dir():
            _read(path, found, faults)
            continue
        inside = sorted(one for one in path.rglob("*") if one.suffix in _ENDINGS and one.is_file())
        if not inside:
            faults.append(f"{path}: there is no file that ends in {' or '.join(_ENDINGS)}")
        for one in inside:
            _read(one, found, faults)
    faults += _checked(found)
    _leave_if(faults)
    return found


def refuse(error: InvalidArgument, manifests: Sequence[Manifest]) -> typer.Exit:
    """Tells a refusal of manifests by their files and lines; gives what to raise."""
    told = [_located(one.field, one.description, manifests) for one in error.field_violations]
    for line in told or [error.message]:
        print(f"nightcrew: {line}", file=sys.stderr)
    return typer.Exit(WRONG_USE if isinstance(error, InvalidRequest) else REFUSED)


def _read(path: Path, found: list[Manifest], faults: list[str]) -> None:
    name = "stdin" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if name == "stdin" else path.read_text(encoding="utf-8")
        found += (Manifest(name, one) for one in documents(text))
    except YamlFault as fault:
        faults.append(f"{name}:{fault.line}: {fault.what}")
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{name}: can't be read: {error}")


def _checked(manifests: Iterable[Manifest]) -> list[str]:
    """What must hold for every set of manifests: each is an object with an id, and no id comes twice."""
    faults: list[str] = []
    places: defaultdict[str, list[str]] = defaultdict(list)
    for one in manifests:
        if not isinstance(one.document.value, dict):
            faults.append(f"{one.where()}: must be an object: the fields of an Agent")
        elif not isinstance(one.data.get("id", ""), str):
            faults.append(f"{one.where('id')}: id: must be a text; put it in quotes")
        elif one.data.get("id"):
            places[one.data["id"]].append(one.where("id"))
    faults += (
        f"{' and '.join(where)}: the agent {name!r} is given more than once"
        for name, where in places.items()
        if len(where) > 1
    )
    return faults


def _located(field: str, description: str, manifests: Sequence[Manifest]) -> str:
    found = _INDEXED.fullmatch(field)
    if found is None or int(found[1]) >= len(manifests):
        return f"{field}: {description}"
    inner = found[2]
    place = manifests[int(found[1])].where(inner)
    return f"{place}: {inner}: {description}" if inner else f"{place}: {description}"


def _leave_if(faults: Sequence[str]) -> None:
    if faults:
        for fault in faults:
            print(f"nightcrew: {fault}", file=sys.stderr)
        raise typer.Exit(WRONG_USE)
