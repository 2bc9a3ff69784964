"""Keeps a second runtime off the data folder: a lock that the kernel drops when its holder dies."""

import fcntl
import os
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.folder import READ_ONLY

LOCK_NAME: Final = "nightcrew.lock"


class FolderLock:
    """An flock on `<folder>/nightcrew.lock`, which holds its holder's pid as text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def take(self) -> None:
        """Takes the lock.

        Raises:
            StoreError: Another runtime holds it; the message names its pid. Or it can't be written.
        """
        try:
            handle = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"the data folder {self._folder} can't be written: {error.strerror}; mend it, or give another with"
                " --data",
                metadata={"cause": "read_only" if error.errno in READ_ONLY else "cannot_open"},
            ) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                raise StoreError(
                    f"the data folder {self._folder} is in use by another runtime (pid {pid}): stop it, or give"
                    " this one another folder with --data",
                    metadata={"cause": "in_use", "pid": pid},
                ) from None
            os.fchmod(handle, 0o600)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        """Gives the lock back; the file stays, since removing it would let two runtimes lock two files."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.ftruncate(handle, 0)
            os.close(handle)


def holder(folder: Path) -> str:
    """The pid of the runtime that uses a folder; empty if none does."""
    try:
        handle = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
    else:
        return ""
    finally:
        os.close(handle)
