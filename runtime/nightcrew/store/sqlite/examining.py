"""Looks through a data folder for all that can be wrong with it, and says what to do; it changes nothing."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.ports.upkeep import Finding, Severity
from nightcrew.store.sqlite.connection import BUSY_SECONDS, address
from nightcrew.store.sqlite.faults import translated
from nightcrew.store.sqlite.folder import FILE_NAME
from nightcrew.store.sqlite.history import NOTE_NAME, read_note
from nightcrew.store.sqlite.invariants import INVARIANTS, RUNNING
from nightcrew.store.sqlite.lock import LOCK_NAME, holder
from nightcrew.store.sqlite.migrate import Migration, check_history, versions
from nightcrew.store.sqlite.wal import lost_commits
from nightcrew.store.sqlite.whose import check_shape, has_log, index_of, log_of, open_quiet

MIB: Final = 1024 * 1024
LITTLE: Final = 256 * MIB
NEARLY_NONE: Final = 32 * MIB
GREAT_LOG: Final = 256 * MIB
"""A log is cut back to 64 MiB once nobody reads an old part of it."""
FAULTS: Final = 20
RESTORE: Final = (
    "stop the runtime and put a backup back with `nightcrew restore FILE`; without a backup, `nightcrew doctor"
    " --salvage FILE` copies what can be read"
)
REPORT: Final = "a fault of Nightcrew's: keep a `nightcrew backup` of it and report it"

OK, WARNING, ERROR = Severity.OK, Severity.WARNING, Severity.ERROR


def examine(
    folder: Path, *, known: Sequence[Migration], key_file: Path, key_given: bool = False, full: bool = False
) -> list[Finding]:
    """Looks through a folder.

    Args:
        folder: The data folder.
        known: The migrations of this version.
        key_file: Where the key of secrets is.
        key_given: Whether the key comes from elsewhere.
        full: Compare every index with its table, too.

    Returns:
        What was found, in order; the last look is the one after which nothing more can be read.

    Raises:
        StoreError: There is no such folder, or none that may be read.
    """
    path = folder / FILE_NAME
    try:
        if not folder.is_dir():
            raise StoreError(f"{folder} is no folder: name the data folder with --data")
        found = [*_folder(folder, path, key_file), *_lock(folder)]
        if not path.exists():
            return [*found, Finding("file", WARNING, f"there is no {path}", "the first start makes it")]
        found += _shape(path)
        if found[-1].severity is not ERROR:
            found += _inside(folder, path, known, key=key_given or key_file.exists(), full=full)
    except OSError as error:
        raise StoreError(f"{folder} can't be read: {error.strerror} ({error.filename})") from error
    return found


def _folder(folder: Path, path: Path, key_file: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    advice = "free some space: without it nothing more can be written"
    severity = ERROR if free < NEARLY_NONE else WARNING if free < LITTLE else OK
    yield Finding("disk", severity, f"{free // MIB} MiB are free", advice if severity is not OK else "")
    open_ones = [
        (one, 0o700 if one == folder else 0o600)
        for one in (
            folder,
            path,
            log_of(path),
            index_of(path),
            key_file,
            folder / LOCK_NAME,
            folder / NOTE_NAME,
        )
        if one.exists() and one.stat().st_mode & 0o077
    ]
    if open_ones:
        names = ", ".join(str(one) for one, _ in open_ones)
        commands = "; ".join(f"chmod {mode:o} {one}" for one, mode in open_ones)
        yield Finding("modes", WARNING, f"others on this machine may use {names}", commands)
    else:
        yield Finding("modes", OK, "only their owner may use the folder and its files")
    aside = sorted(folder.glob(f"{FILE_NAME}.*"))
    if aside:
        size = sum(one.stat().st_size for one in aside)
        yield Finding(
            "aside",
            OK,
            f"{len(aside)} files kept aside, {size // MIB} MiB: {', '.join(one.name for one in aside)}",
            "delete those that you do not want back",
        )


def _lock(folder: Path) -> Iterator[Finding]:
    pid = holder(folder)
    yield Finding(
        "lock", OK, f"a runtime uses the folder (pid {pid})" if pid else "no runtime uses the folder"
    )


def _shape(path: Path) -> Iterator[Finding]:
    size = path.stat().st_size
    if not size and not has_log(path):
        note = read_note(path.parent)
        if note is None or not note.sequence:
            yield Finding("file", ERROR, f"{path} is empty", "the next start makes a new store of it")
        else:
            yield Finding("file", ERROR, f"{path} is empty, and had {note.sequence} events", RESTORE)
        return
    try:
        check_shape(path)
    except StoreError as error:
        yield Finding("file", ERROR, error.message.split(";")[0], RESTORE)
        return
    yield Finding("file", OK, f"{path}, {size / MIB:.1f} MiB")
    size = log_of(path).stat().st_size if has_log(path) else 0
    if size > GREAT_LOG:
        yield Finding(
            "log",
            WARNING,
            f"the log has {size // MIB} MiB",
            "someone reads an old part of it for long (a backup, an sqlite3 shell): end that",
        )
    else:
        yield Finding("log", OK, f"the log has {size / MIB:.1f} MiB")


def _inside(
    folder: Path, path: Path, known: Sequence[Migration], *, key: bool, full: bool
) -> Iterator[Finding]:
    """What a connection sees; it ends where the file can't be read any further."""
    serving = bool(holder(folder))
    try:
        with closing(_open(path, serving=serving)) as connection:
            yield from _holes(connection)
            yield from _pages(connection, path, full=full)
            applied = versions(connection, path)
            check_history(path, known, applied)
            missing = [one.name for one in known if one.number not in applied]
            if missing:
                yield Finding(
                    "migrations",
                    WARNING,
                    f"has not had {', '.join(missing)}",
                    "the next start applies them; the rows were not looked at",
                )
            else:
                yield Finding("migrations", OK, f"has had all {len(known)}")
                yield from _rows(connection, serving=serving)
                yield from _history(connection, folder, key=key)
    except StoreError as error:
        yield Finding("migrations", ERROR, error.message)
    except sqlite3.Error as error:
        yield Finding("content", ERROR, translated(error, path).message, RESTORE)
    if not serving:
        yield from _log(path)


def _open(path: Path, *, serving: bool) -> sqlite3.Connection:
    if not serving:
        return open_quiet(path)
    connection = sqlite3.connect(address(path, "ro"), timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    connection.execute("PRAGMA query_only = ON")
    # One snapshot: what is written between two looks is no contradiction.
    connection.execute("BEGIN")
    return connection


def _holes(connection: sqlite3.Connection) -> Iterator[Finding]:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    advice = "new rows use it again; `nightcrew vacuum`, with the runtime stopped, gives it back to the disk"
    great = free * size > LITTLE and free > pages // 2
    yield Finding("holes", OK, f"{free * size // MIB} MiB in the file are free", advice if great else "")


def _pages(connection: sqlite3.Connection, path: Path, *, full: bool) -> Iterator[Finding]:
    check = "integrity_check" if full else "quick_check"
    try:
        faults = [line for (line,) in connection.execute(f"PRAGMA {check}({FAULTS})")]
    except sqlite3.DatabaseError as error:
        faults = [translated(error, path).message]
    if faults == ["ok"]:
        yield Finding("integrity", OK, f"{check} finds nothing")
    else:
        said = "; ".join(" ".join(one.split()) for one in faults)
        yield Finding("integrity", ERROR, f"{len(faults)} faults: {said[:1000]}", RESTORE)


def _log(path: Path) -> Iterator[Finding]:
    lost = lost_commits(path)
    if lost:
        yield Finding(
            "log_whole",
            ERROR,
            f"the log is damaged: at least {lost} commits behind the damage can't be read",
            RESTORE,
        )
    elif has_log(path):
        yield Finding("log_whole", OK, "the log can be read to its end")


def _rows(connection: sqlite3.Connection, *, serving: bool) -> Iterator[Finding]:
    broken = 0
    for rule in INVARIANTS:
        try:
            count, names = connection.execute(rule.broken).fetchone()
        except sqlite3.Error as error:
            yield Finding(rule.name, ERROR, f"can't be looked at: {error}", RESTORE)
            broken += 1
            continue
        if count:
            broken += 1
            severity = ERROR if rule.grave else WARNING
            yield Finding(rule.name, severity, f"{count} {rule.meaning}: {names}", REPORT)
    if not broken:
        yield Finding("rows", OK, f"{len(INVARIANTS)} rules hold")
    (running,) = connection.execute(RUNNING).fetchone()
    if running and not serving:
        yield Finding(
            "running", OK, f"{running} executions ran when the runtime ended; the next start hands them back"
        )


def _history(connection: sqlite3.Connection, folder: Path, *, key: bool) -> Iterator[Finding]:
    note = read_note(folder)
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    sequence = row[0] if row else 0
    if note is not None and note.sequence > sequence:
        yield Finding(
            "history",
            WARNING,
            f"the file ends at event {sequence}, and had {note.sequence} before: it is an older one, or its log was"
            " lost",
            "put nightcrew.db-wal back beside it if you have it, before the next start; else watchers get a gap",
        )
    (sealed,) = connection.execute("SELECT count(*) FROM webhook_secrets").fetchone()
    if sealed and not key:
        yield Finding(
            "key",
            ERROR,
            f"{sealed} secrets of webhooks can't be opened: there is no key",
            "put secret.key back into the data folder, or give the secrets anew",
        )
