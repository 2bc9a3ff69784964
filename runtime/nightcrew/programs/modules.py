"""Importing an agent's file under its module name, so that tracebacks, pickles and siblings find it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from nightcrew.programs.errors import LoadError
from nightcrew.programs.failure import line_in, trimmed

_INSTALLED: Final = ("site-packages", "dist-packages")


def import_file(path: str, *, root: str, module: str) -> ModuleType:
    """The module of a file, imported if it was not.

    Args:
        path: The file.
        root: The folder that goes on sys.path for it.
        module: Its dotted name below `root`.

    Raises:
        LoadError: It is not there, its name is another module's, or its code raised; names file and line.
    """
    if not Path(path).is_file():
        raise LoadError("the file does not exist", path=path)
    add_root(root)
    importlib.invalidate_caches()
    try:
        loaded = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file may call sys.exit; it must not take the others along
        raise _refusal(error, path) from error
    _check_origin(loaded, path, module)
    return loaded


def add_root(root: str) -> None:
    """Puts a folder on sys.path: before what is installed, after the standard library, which none may hide."""
    if not root or root in sys.path:
        return
    at = next((i for i, entry in enumerate(sys.path) if entry.endswith(_INSTALLED)), len(sys.path))
    sys.path.insert(at, root)


def place(path: str) -> tuple[str, str]:
    """(root, dotted module) of a file: for one in a package, the package's parent and the name in it."""
    file = Path(path)
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return str(folder), ".".join(parts)


def find_object(loaded: ModuleType, attribute: str, *, path: str) -> object:
    """The object of a (dotted) name in a module.

    Raises:
        LoadError: There is none.
    """
    target: object = loaded
    for name in attribute.split("."):
        try:
            target = getattr(target, name)
        except AttributeError:
            raise LoadError(f"{loaded.__name__} has no object {attribute!r}", path=path) from None
    return target


def _check_origin(loaded: ModuleType, path: str, module: str) -> None:
    origin = getattr(loaded, "__file__", None)
    if origin is not None and Path(origin).resolve() == Path(path).resolve():
        return
    raise LoadError(
        f"its name {module!r} belongs to {origin or 'a built-in module'}; rename the file", path=path
    )


def _refusal(error: BaseException, path: str) -> LoadError:
    if isinstance(error, SyntaxError) and error.filename:
        # The fault may be in a file that this one imports: that is the one to name.
        text = f"{error.msg}: {error.text.strip()}" if error.text else error.msg
        return LoadError(f"{type(error).__name__}: {text}", path=error.filename, line=error.lineno or 0)
    message = str(error)
    reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return LoadError(reason, path=path, line=line_in(error, path), traceback=trimmed(error))
