"""Gives the space that deleted rows have left in the file back to the disk; nobody may use the file meanwhile."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.connection import address
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.lock import FolderLock
from nightcrew.store.sqlite.whose import check_shape


def vacuum(folder: Path) -> tuple[int, int]:
    """Rewrites the file without its holes; a kill or a power failure leaves it as it was.

    Args:
        folder: The data folder, which no runtime may use.

    Returns:
        Its bytes before and after.

    Raises:
        StoreError: It can't be rewritten; it is as it was.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise StoreError(f"{path} does not exist", metadata={"cause": "cannot_open"})
    lock = FolderLock(folder)
    lock.take()
    try:
        check_shape(path)
        before, free = path.stat().st_size, shutil.disk_usage(folder).free
        if free < 2 * before:
            raise StoreError(
                f"{folder} has {free} bytes free; twice the file's {before} are needed while it is rewritten",
                metadata={"cause": "disk_full"},
            )
        try:
            with closing(sqlite3.connect(address(path, "rw"), isolation_level=None, uri=True)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                # SQLite's own way: the copy is written to the log, and becomes the file with one commit.
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise translated(error, path) from error
        return before, path.stat().st_size
    finally:
        lock.release()
