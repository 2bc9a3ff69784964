"""Makes the store's file ready to be opened: refused whole if it is not right, kept before it is upgraded."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.copying import copy_pages, part_of, put_in_place
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.folder import make_file
from nightcrew.store.sqlite.history import read_note
from nightcrew.store.sqlite.migrate import Migration, check_history, migrate, versions
from nightcrew.store.sqlite.wal import lost_commits
from nightcrew.store.sqlite.whose import advised, check_shape, damaged, has_log, open_quiet

CHECKED: Final = 256 * 1024 * 1024
"""Bytes up to which a file's pages are looked through at each start: half a second. `nightcrew doctor` has no bound."""
KEPT: Final = 4 * 1024**3
"""Bytes up to which a file is copied before an upgrade; a start must not take minutes."""

log = structlog.get_logger(__name__)


def prepare(path: Path, known: Sequence[Migration], *, now: datetime) -> None:
    """Checks, makes and upgrades the file; the folder's lock is held.

    Raises:
        StoreError: It can't be used, or not be upgraded; it is as it was. The message says what to do.
    """
    _check_empty(path)
    make_file(path)
    if path.stat().st_size:
        check_shape(path)
        done = _look(path, known)
        if done and len(done) < len(known):
            _keep(path, max(done))
    migrate(path, known, now=now)


def _check_empty(path: Path) -> None:
    """Looks whether a file that is there and empty had something: SQLite would begin anew, and drop its log."""
    if not path.exists() or path.stat().st_size:
        return
    note = read_note(path.parent)
    if has_log(path):
        raise damaged(f"{path} is empty, and its log is not")
    if note is not None and note.sequence:
        raise damaged(f"{path} is empty, and had {note.sequence} events (to begin anew, delete it)")


def _look(path: Path, known: Sequence[Migration]) -> dict[int, tuple[str, str]]:
    """Its migrations, if this version can use it and its pages hold together."""
    try:
        with closing(open_quiet(path)) as connection:
            done = versions(connection, path)
            check_history(path, known, done)
            if path.stat().st_size <= CHECKED:
                faults = [line for (line,) in connection.execute("PRAGMA quick_check(3)")]
                if faults != ["ok"]:
                    raise damaged(f"{path} is damaged ({' '.join('; '.join(faults).split())[:300]})")
    except sqlite3.Error as error:
        raise advised(translated(error, path)) from error
    lost = lost_commits(path)
    if lost:
        raise damaged(
            f"the log of {path} is damaged: at least {lost} commits behind the damage can't be read (to go on"
            " without them, move the -wal file away)"
        )
    return done


def _keep(path: Path, number: int) -> None:
    """Keeps the file as it is before an upgrade, in the place of what was kept before the last one."""
    kept = path.with_name(f"{path.name}.before-upgrade-{number:04d}")
    if path.stat().st_size > KEPT:
        log.warning("not kept before the upgrade: it is large", file=str(path), bytes=path.stat().st_size)
        return
    try:
        with part_of(kept) as part:
            copy_pages(path, part)
            put_in_place(part, kept, force=True)
    except StoreError as error:
        if error.metadata.get("cause") != "disk_full":
            raise
        # A migration is whole or not at all: it needs no copy to be safe, people may want one.
        log.warning("not kept before the upgrade: there is no room", file=str(path), error=error.message)
        return
    for older in path.parent.glob(f"{path.name}.before-upgrade-*"):
        if older != kept:
            older.unlink()
    log.info("kept before the upgrade", file=str(kept))
