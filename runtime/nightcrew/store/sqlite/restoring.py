"""Puts a backup in the place of the store's file: checked first, what was there kept aside, the history a new one."""

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.ports.upkeep import Progress, Restored
from nightcrew.store.sqlite.connection import address
from nightcrew.store.sqlite.copying import checked, copy_pages, part_of
from nightcrew.store.sqlite.folder import FILE_NAME, make_folder, sync_folder
from nightcrew.store.sqlite.history import NOTE_NAME
from nightcrew.store.sqlite.lock import FolderLock
from nightcrew.store.sqlite.migrate import Migration, versions
from nightcrew.store.sqlite.whose import check_whose, index_of, log_of

STAMP: Final = "%Y%m%dT%H%M%S.%fZ"


def put_back(
    backup: Path,
    folder: Path,
    *,
    known: Sequence[Migration],
    now: datetime,
    key_file: Path,
    key: Path | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Makes a backup the store's file; the backup itself stays as it is.

    Args:
        backup: What `back_up` made, or any whole file of a store.
        folder: The data folder, which no runtime may use.
        known: The migrations of this version; an older backup is migrated by the next start.
        now: Names what is kept aside.
        key_file: Where the folder has its key.
        key: A key file that is to be there, too.
        progress: Told of the bytes that are copied.

    Raises:
        StoreError: It can't be; the folder is as it was.
    """
    if not backup.is_file():
        raise StoreError(f"{backup} is no file", metadata={"cause": "cannot_open"})
    if key is not None and not key.is_file():
        raise StoreError(f"{key} is no file: restore without --with-key", metadata={"cause": "cannot_open"})
    path = folder / FILE_NAME
    if path.exists() and backup.samefile(path):
        raise StoreError(f"{backup} is the store's own file", metadata={"cause": "exists"})
    check_whose(backup, known)
    make_folder(folder)
    lock = FolderLock(folder)
    lock.take()
    try:
        with part_of(path) as part:
            copy_pages(backup, part, progress=progress)
            _check_ours(part, backup)
            sequence, sealed = checked(part, named=backup)
            stamp = now.strftime(STAMP)
            # Without its note the file is from elsewhere: the next start gives it a new incarnation, so that no
            # watcher's token of the history that is gone is taken for one of this.
            (folder / NOTE_NAME).unlink(missing_ok=True)
            aside = _keep_aside(path, stamp)
            part.replace(path)
            sync_folder(folder)
        key_aside = _put_key(key, key_file, stamp) if key is not None else None
    finally:
        lock.release()
    return Restored(
        path=path,
        size=path.stat().st_size,
        sequence=sequence,
        aside=aside,
        key_aside=key_aside,
        key_missing=sealed and not key_file.exists(),
    )


def _check_ours(part: Path, backup: Path) -> None:
    with closing(sqlite3.connect(address(part, "ro") + "&immutable=1", uri=True)) as connection:
        if not versions(connection, backup):
            raise StoreError(f"{backup} is empty: it is no backup", metadata={"cause": "foreign_file"})


def _keep_aside(path: Path, stamp: str) -> Path | None:
    """Gives the file, with its log, a second name; the first is free for another then.

    The log is folded in where that can be: one that is left must never meet another file under its old name.
    """
    if not path.exists():
        for left in (log_of(path), index_of(path)):
            left.unlink(missing_ok=True)
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(address(path, "rw"), uri=True)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    aside = path.with_name(f"{path.name}.replaced-{stamp}")
    for old, new in ((path, aside), (log_of(path), log_of(aside))):
        if old.exists():
            _second_name(old, new)
    sync_folder(path.parent)
    for left in (log_of(path), index_of(path)):
        left.unlink(missing_ok=True)
    return aside


def _second_name(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)  # a file system without links


def _put_key(key: Path, target: Path, stamp: str) -> Path | None:
    aside = None
    new = key.read_bytes()
    if target.exists():
        if target.read_bytes() == new:
            return None
        aside = target.with_name(f"{target.name}.replaced-{stamp}")
        target.rename(aside)
    with part_of(target) as part:
        part.write_bytes(new)
        part.replace(target)
    sync_folder(target.parent)
    return aside
