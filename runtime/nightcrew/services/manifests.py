"""Agent manifests: the protobuf JSON of Agent written as YAML, one or several documents in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from nightcrew.agent.definition import Definition
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import Manifest, check_slug
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.discovery import Discovery, Fault, Found, locate
from nightcrew.programs.errors import LoadError


def discover_manifests(path: Path, *, roots: Sequence[Path], known: Sequence[ProgramSource]) -> Discovery:
    """The agents of a manifest file.

    Args:
        path: The YAML file.
        roots: Folders in which a python entrypoint is looked for.
        known: Sources found elsewhere: a flow is named by its stem.
    """
    try:
        documents = [doc for doc in yaml.safe_load_all(path.read_text(encoding="utf-8")) if doc is not None]
    except (OSError, UnicodeDecodeError) as error:
        return Discovery(faults=(Fault(str(path), 0, f"can't be read: {error}"),))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        what = getattr(error, "problem", None) or "is no YAML"
        return Discovery(faults=(Fault(str(path), line, str(what)),))
    found: list[Found] = []
    faults: list[Fault] = []
    for index, document in enumerate(documents):
        where = f"document {index + 1}: " if len(documents) > 1 else ""
        try:
            found.append(_found(document, path, roots, known))
        except (InvalidArgument, LoadError) as error:
            faults.append(Fault(str(path), 0, f"{where}{error}"))
    return Discovery(tuple(found), tuple(faults))


def _found(document: Any, path: Path, roots: Sequence[Path], known: Sequence[ProgramSource]) -> Found:
    if not isinstance(document, dict):
        raise InvalidArgument.of("(document)", "must be an object: the JSON of an Agent")
    manifest = Manifest.parse(document)
    check_slug(manifest.id, field="id")
    program = manifest.spec.program
    if program.python is not None:
        source = locate(program.python.entrypoint, [path.parent, *roots])
    else:
        same = [one for one in known if one.kind == program.kind and one.name == program.name]
        if not same:
            raise InvalidArgument.of(
                f"spec.program.{program.kind}",
                f"{program.name!r} is not among the paths given to `nightcrew up`",
            )
        source = same[0]
    return Found(source, Definition(manifest=manifest))
