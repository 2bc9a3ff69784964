"""Makes the data folder and the store's file, for their owner's eyes only."""

import errno
import os
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError

FILE_NAME: Final = "nightcrew.db"
READ_ONLY: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""What the system says where nothing may be written."""


def make_folder(folder: Path) -> None:
    """Makes the folder (mode 0700) if it is missing, and takes others' rights away if they have any.

    Raises:
        StoreError: It can't be made or is no folder.
    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            sync_folder(folder.parent)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise StoreError(
            f"the data folder {folder} can't be used: {error.strerror}; give another with --data",
            metadata={"cause": "cannot_open"},
        ) from error


def sync_folder(folder: Path) -> None:
    """Makes sure that a power failure does not undo what was added to a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_file(path: Path) -> None:
    """Makes the store's file (mode 0600) if it is missing; SQLite gives its log and index the same mode.

    Raises:
        StoreError: It can't be made, or can't be written. SQLite would open such a file all the same, and leave
            a log and an index beside it that can't be written either.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        cause = "read_only" if error.errno in READ_ONLY else "cannot_open"
        raise StoreError(
            f"the store's file {path} can't be written: {error.strerror}; mend it, or give another folder with"
            " --data",
            metadata={"cause": cause},
        ) from error
