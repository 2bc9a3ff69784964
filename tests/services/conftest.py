"""What the services' tests share: folders of files that `up` is given, and boxes over them."""

import itertools
import sys
import textwrap

import pytest

from nightcrew.config.settings import load_settings
from nightcrew.programs.python import forget_python
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

_NUMBERS = itertools.count()


class Given:
    """A folder of files, and the data folder of a runtime that is given them again and again."""

    def __init__(self, folder):
        self.folder = folder / "agents"
        self.folder.mkdir()
        self.data = folder / "data"
        self.clock = ManualClock()
        # A module is imported once a process: each test has names of its own.
        self.prefix = f"given{next(_NUMBERS)}"
        self._path = list(sys.path)

    def module(self, stem):
        return f"{self.prefix}_{stem}"

    def write(self, stem, text, *, folder="", suffix=".py"):
        """Writes a file; `{mod}` in its text is its module's name. Returns its path."""
        name = self.module(stem) if suffix == ".py" else stem
        path = self.folder / folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).replace("{mod}", name))
        self.forget()
        return path

    def remove(self, path):
        path.unlink()
        self.forget()

    def forget(self):
        """The next runtime is another process: it imports anew."""
        forget_python()
        sys.path[:] = self._path
        for name in list(sys.modules):
            if name.startswith(self.prefix):
                del sys.modules[name]
        for cache in self.folder.rglob("__pycache__"):
            for file in cache.iterdir():
                file.unlink()

    def up(self, *paths, prune=False):
        """A runtime that is given these paths, the folder by default; the clock goes on."""
        self.forget()
        return Box(
            folder=self.data,
            clock=self.clock,
            paths=paths or [self.folder],
            prune=prune,
            settings=load_settings(),
        )


@pytest.fixture
def given(tmp_path):
    given = Given(tmp_path)
    yield given
    given.forget()
