"""Agent manifests: the protobuf JSON of Agent written as YAML, one or several documents in a file."""

from collections.abc import Collection, Sequence
from pathlib import Path

from nightcrew.agent.definition import Definition
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import Manifest, check_slug
from nightcrew.domain.yaml_text import Document, YamlFault, documents
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.discovery import Discovery, Fault, Found, locate
from nightcrew.programs.errors import LoadError


def discover_manifests(
    path: Path, *, roots: Sequence[Path], known: Sequence[ProgramSource], refused: Collection[str] = ()
) -> Discovery:
    """The agents of a manifest file; a fault names the line, and the other documents are read all the same.

    Args:
        path: The YAML file.
        roots: Folders in which a python entrypoint is looked for.
        known: Sources found elsewhere: a flow is named by its stem.
        refused: Modules that may not be loaded, since two files bear the name.
    """
    found: list[Found] = []
    faults: list[Fault] = []
    try:
        for document in documents(path.read_text(encoding="utf-8")):
            try:
                found.append(_found(document, path, roots, known, refused))
            except InvalidArgument as error:
                faults += [
                    Fault(str(path), document.line(one.field), f"{one.field}: {one.description}")
                    for one in error.violations
                ]
            except LoadError as error:
                faults.append(Fault(str(path), document.line("spec.program"), str(error)))
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(str(path), 0, f"can't be read: {error}"))
    except YamlFault as fault:
        faults.append(Fault(str(path), fault.line, fault.what))
    return Discovery(tuple(found), tuple(faults))


def _found(
    document: Document,
    path: Path,
    roots: Sequence[Path],
    known: Sequence[ProgramSource],
    refused: Collection[str],
) -> Found:
    if not isinstance(document.value, dict):
        raise InvalidArgument.of("(document)", "must be an object: the JSON of an Agent")
    manifest = Manifest.parse(document.value)
    check_slug(manifest.id, field="id")
    program = manifest.spec.program
    if program.python is not None:
        module = program.python.entrypoint.partition(":")[0]
        if module in refused:
            raise InvalidArgument.of(
                "spec.program.python.entrypoint", f"two files are the module {module!r}; rename one"
            )
        source = locate(program.python.entrypoint, [path.parent, *roots])
    elif program.langflow is None:
        source = ProgramSource(
            kind=program.kind,
            name=program.name,
            path=str(path),
            root=str(path.parent),
            is_async=program.http is not None,
            content=program.key,
        )
    else:
        same = [one for one in known if one.kind == program.kind and one.name == program.name]
        if not same:
            raise InvalidArgument.of(
                f"spec.program.{program.kind}",
                f"{program.name!r} is not among the paths given to `nightcrew up`",
            )
        source = same[0]
    return Found(source, Definition(manifest=manifest))
