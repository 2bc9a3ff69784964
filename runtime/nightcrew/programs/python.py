"""Python programs: a registered object, imported once a process and called once an attempt."""

from functools import lru_cache

from nightcrew.ports.host import ProgramSource
from nightcrew.programs.entry import Entry
from nightcrew.programs.modules import find_object, import_file


@lru_cache(maxsize=4096)
def load_python(source: ProgramSource) -> Entry:
    """The entry of a python source; a failure is not kept, so that a mended file loads.

    Raises:
        LoadError: Its file can't be imported or holds no such object; names file and line.
    """
    loaded = import_file(source.path, root=source.root, module=source.module)
    return Entry.of(find_object(loaded, source.attribute, path=source.path), path=source.path)
