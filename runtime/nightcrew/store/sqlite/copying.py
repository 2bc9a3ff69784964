"""Copies a database into one whole, checked file while others write to it: a backup, or what is put back of one."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.ports.upkeep import Copied, Progress
from nightcrew.store.sqlite.connection import address
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.folder import sync_folder
from nightcrew.store.sqlite.whose import check_shape

PAGES: Final = 4096
"""Copied between two looks at the progress: 16 MiB."""
BUSY_SECONDS: Final = 30.0
"""How long a copy waits for one who holds the whole file; it is in no hurry."""
_CHECKED: Final = 100
_SEALED: Final = "SELECT EXISTS (SELECT 1 FROM webhook_secrets)"
_NEWEST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"


def back_up(
    source: Path,
    target: Path,
    *,
    key: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Copied:
    """Writes a copy of a store's file as it is at this moment, whether or not a runtime uses it.

    The copy reads one snapshot, so the writer never waits for it; the log grows meanwhile, and is cut back after.

    Args:
        source: The store's file.
        target: The backup; only a whole and checked one ever has this name.
        key: The key file, to be copied beside the backup as `<target>.key`, too.
        force: Replace a backup that is there.
        progress: Told of the bytes that are copied.

    Raises:
        StoreError: It can't be copied; nothing is left, and a backup that was there is as it was.
    """
    check_target(source, target, force=force)
    check_shape(source)
    with part_of(target) as part:
        started = perf_counter()
        copy_pages(source, part, progress=progress)
        copied = perf_counter()
        sequence, sealed = checked(part, named=source)
        finished = perf_counter()
        key_copy = _copy_key(key, target.with_name(f"{target.name}.key"), force=force) if key else None
        put_in_place(part, target, force=force)
    return Copied(
        path=target,
        size=target.stat().st_size,
        copied=copied - started,
        checked=finished - copied,
        sequence=sequence,
        key=key_copy,
        sealed=sealed,
    )


def check_target(source: Path, target: Path, *, force: bool) -> None:
    """Looks whether a copy may have this name; raises StoreError if not."""
    if not source.exists():
        raise StoreError(
            f"{source} does not exist: there is nothing to copy; name the data folder with --data",
            metadata={"cause": "cannot_open"},
        )
    if target.exists() and target.samefile(source):
        raise StoreError(f"{target} is the store's own file", metadata={"cause": "exists"})
    if target.is_dir():
        raise StoreError(f"{target} is a folder: name a file", metadata={"cause": "exists"})
    if target.exists() and not force:
        raise _exists(target)


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A file of one's own (mode 0600) that is to become the target; gone afterwards if it has not.

    What a kill has left of an earlier one is used again. Raises StoreError if another copies to the same target.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _cannot_write(part, error) from error
    try:
        # Not flock's sibling: SQLite's own locks are fcntl's, and those go when any handle of theirs is closed.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StoreError(f"another copy to {target} is under way", metadata={"cause": "in_use"}) from None
    try:
        os.fchmod(handle, 0o600)
        os.ftruncate(handle, 0)
        yield part
    except OSError as error:
        raise _cannot_write(part, error) from error
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            part.with_name(f"{part.name}{suffix}").unlink(missing_ok=True)
        os.close(handle)


def copy_pages(source: Path, part: Path, *, progress: Progress | None = None) -> None:
    """Copies every page of one snapshot, and syncs the copy.

    Raises:
        StoreError: The source can't be read, or the copy not written.
    """
    _check_room(source, part)
    mode = "rw" if os.access(source, os.W_OK) else "ro"
    try:
        with (
            closing(_connect(address(source, mode))) as reading,
            closing(_connect(address(part, "rw"))) as writing,
        ):
            reading.execute("PRAGMA query_only = ON")
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
                writing.execute(f"PRAGMA {pragma}")
            # A transaction of the reader's: without it each step would begin anew after a write of others.
            reading.execute("BEGIN")
            (size,) = reading.execute("PRAGMA page_size").fetchone()
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            reading.backup(writing, pages=PAGES, progress=_synced(part, size, progress))
            reading.execute("ROLLBACK")
            if mode == "rw":
                # What the log has grown by meanwhile is folded in here; the runtime's writer would do it in a commit.
                reading.execute("PRAGMA query_only = OFF")
                reading.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:
        raise translated(error, source) from error
    _sync_file(part)


def checked(part: Path, *, named: Path) -> tuple[int, bool]:
    """Looks through a whole copy, and makes it a single file that needs no log.

    Args:
        part: The copy.
        named: What it was copied from, for messages.

    Returns:
        The newest event's sequence, and whether it holds sealed secrets.

    Raises:
        StoreError: It is damaged, as its source is.
    """
    try:
        with closing(_connect(address(part, "rw"))) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            faults = [line for (line,) in connection.execute(f"PRAGMA integrity_check({_CHECKED})")]
            if faults != ["ok"]:
                raise StoreError(
                    f"{named} is damaged ({'; '.join(faults[:3])[:300]}): see `nightcrew doctor --full`",
                    metadata={"cause": "corrupt"},
                )
            (sequence,) = connection.execute(_NEWEST).fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
            sealed = "webhook_secrets" in tables and bool(connection.execute(_SEALED).fetchone()[0])
    except sqlite3.Error as error:
        raise translated(error, named) from error
    _sync_file(part)
    return int(sequence), sealed


def put_in_place(part: Path, target: Path, *, force: bool) -> None:
    """Gives the part its name, so that a power failure leaves either the old one or the new one, whole."""
    if force:
        part.replace(target)
    else:
        try:
            os.link(part, target)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:
            part.rename(target)  # a file system without links
    sync_folder(target.parent)


def _copy_key(key: Path, target: Path, *, force: bool) -> Path | None:
    if not key.exists():
        return None
    if target.exists() and not force:
        raise _exists(target)
    with part_of(target) as part:
        part.write_bytes(key.read_bytes())
        _sync_file(part)
        put_in_place(part, target, force=force)
    return target


def _connect(way: str) -> sqlite3.Connection:
    return sqlite3.connect(way, timeout=BUSY_SECONDS, isolation_level=None, uri=True)


def _synced(part: Path, page: int, progress: Progress | None) -> Callable[[int, int, int], None]:
    """Has the disk take what is copied bit by bit: all of it at the end would hold up the commits of others."""

    def tell(_status: int, remaining: int, total: int) -> None:
        _sync_file(part)
        if progress is not None:
            progress((total - remaining) * page, total * page)

    return tell


def _check_room(source: Path, part: Path) -> None:
    size, free = source.stat().st_size, shutil.disk_usage(part.parent).free
    if free < size:
        raise StoreError(
            f"{part.parent} has {free} bytes free, and {source} has {size}: free some space",
            metadata={"cause": "disk_full"},
        )


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exists(target: Path) -> StoreError:
    return StoreError(
        f"{target} exists: name another file, or replace it with --force", metadata={"cause": "exists"}
    )


def _cannot_write(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} can't be written: {error.strerror}", metadata={"cause": "cannot_open"})
