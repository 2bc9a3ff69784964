"""An agent that a test has at hand, as the runtime takes it from a file."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightcrew.agent.definition import Definition, definition_of
from nightcrew.domain.errors import InvalidArgument
from nightcrew.ports.host import ProgramSource
from nightcrew.programs.discovery import Found
from nightcrew.programs.entry import Entry
from nightcrew.programs.modules import place
from nightcrew.programs.python import put_python
from nightcrew.services.given import Given


def given(target: Any) -> Given:
    """A decorated object as the runtime takes it from a file.

    Raises:
        InvalidArgument: It is not decorated.
    """
    definition = definition_of(target)
    if definition is None:
        raise InvalidArgument.of("agents", f"{target!r} is no agent; decorate it with @agent")
    file = inspect.getsourcefile(inspect.unwrap(target)) if inspect.isroutine(target) else None
    path = str(Path(file).resolve()) if file else f"/{definition.module.replace('.', '/')}.py"
    root, module = place(path)
    name = str(getattr(target, "__name__", definition.manifest.id.replace("-", "_")))
    entry = Entry.of(target, path=path)
    located = _located(definition, module, name)
    source = ProgramSource(
        kind="python",
        name=located.manifest.spec.program.name,
        path=path,
        root=root,
        module=module,
        attribute=name,
        is_async=entry.is_async,
    )
    put_python(source, target)
    return Given(path, Found(source, located))


def _located(definition: Definition, module: str, name: str) -> Definition:
    return replace(definition.located(module, name), module=module)
