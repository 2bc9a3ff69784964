"""Python programs: a registered object, imported once a process and called once an attempt."""

from typing import Final

from nightcrew.ports.host import ProgramSource
from nightcrew.programs.entry import Entry
from nightcrew.programs.modules import find_object, import_file

_entries: Final[dict[ProgramSource, Entry]] = {}
"""As Python's own modules, which they come from, entries live as long as the process."""


def load_python(source: ProgramSource) -> Entry:
    """The entry of a python source; a failure is not kept, so that a mended file loads.

    Raises:
        LoadError: Its file can't be imported or holds no such object; names file and line.
    """
    known = _entries.get(source)
    if known is None:
        loaded = import_file(source.path, root=source.root, module=source.module)
        target = find_object(loaded, source.attribute, path=source.path)
        known = _entries[source] = Entry.of(target, path=source.path)
    return known


def put_python(source: ProgramSource, target: object) -> None:
    """Says which object a source is, without an import: of a function that a test has at hand.

    Raises:
        LoadError: It can't be called.
    """
    _entries[source] = Entry.of(target, path=source.path)


def loaded_python(source: ProgramSource) -> Entry | None:
    """The entry if it is loaded; never imports."""
    return _entries.get(source)


def forget_python() -> None:
    """Drops what is loaded (tests write modules of one name again and again)."""
    _entries.clear()
