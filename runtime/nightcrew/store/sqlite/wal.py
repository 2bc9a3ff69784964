"""Finds commits that a damaged write-ahead log has lost: SQLite itself reads up to the damage and says nothing."""

import sys
from pathlib import Path
from typing import BinaryIO, Final

from nightcrew.store.sqlite.whose import has_log, index_of, log_of

HEADER: Final = 32
FRAME: Final = 24
TORN: Final = 1
"""The last commit may be torn by a power failure before its sync: nobody was answered. A second one was synced."""
_LAST_FRAME: Final = slice(16, 20)
"""mxFrame in the index's header (sqlite.org/walformat.html, section 2.1.1), in this machine's byte order."""


def lost_commits(path: Path) -> int:
    """How many commits stand in a file's log behind the last one that SQLite reads, more than a torn end explains.

    Checksums go from frame to frame, so all that comes behind the damage is lost to SQLite. Frames of an
    earlier turn of the log have another salt and do not count. To be asked after a connection has read the file
    that leaves the log's index where it is (whose.open_quiet), as that tells how far it came, and while this
    process has no other: closing any handle of a file drops a process's locks on it.
    """
    if not has_log(path):
        return 0
    try:
        with index_of(path).open("rb") as index:
            last = int.from_bytes(index.read(HEADER)[_LAST_FRAME], sys.byteorder)
        with log_of(path).open("rb") as log:
            lost = _commits_behind(log, last)
    except OSError:
        return 0
    return lost if lost > TORN else 0


def _commits_behind(log: BinaryIO, last: int) -> int:
    header = log.read(HEADER)
    page, salt = int.from_bytes(header[8:12], "big"), header[16:24]
    log.seek(HEADER + last * (FRAME + page))
    lost = 0
    while len(frame := log.read(FRAME)) == FRAME:
        lost += frame[8:16] == salt and frame[4:8] != b"\0\0\0\0"
        log.seek(page, 1)
    return lost
