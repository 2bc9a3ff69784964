"""Tells whether the file has the history that its folder saw last: a restored one gets a new incarnation.

Resume tokens name the incarnation. A backup that was put back would give out sequences anew that watchers have
seen with other events, so its tokens must not be taken for the old ones. Beside the file stands a note of the
incarnation and the newest sequence, written at open and close: a file with no note has come from elsewhere, one
that is behind its note has gone back in time. A note that is behind the file is right: the runtime was killed.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.transaction import SqliteTransaction

NOTE_NAME: Final = "nightcrew.history"
_INCARNATION: Final = "incarnation"


@dataclass(frozen=True, slots=True)
class History:
    """A history and how far it has come."""

    incarnation: str
    sequence: int


def read_note(folder: Path) -> History | None:
    """The note in the folder; None if there is none, or none that can be made out."""
    try:
        words = (folder / NOTE_NAME).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
    return History(words[0], int(words[1])) if len(words) == 2 and words[1].isdecimal() else None  # noqa: PLR2004


def write_note(folder: Path, history: History) -> None:
    """Writes the note, whole or not at all.

    Raises:
        StoreError: It can't be written.
    """
    draft = folder / f"{NOTE_NAME}.new"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{history.incarnation} {history.sequence}\n")
        draft.replace(folder / NOTE_NAME)
    except OSError as error:
        raise StoreError(
            f"{folder / NOTE_NAME} can't be written: {error.strerror}", metadata={"cause": "note"}
        ) from error


def settle(tx: SqliteTransaction, *, note: History | None, identity: str) -> History:
    """The file's history; with `identity` as its incarnation if it is not the one of the note."""
    incarnation, sequence = tx.meta(_INCARNATION), tx.events.newest()
    if incarnation is None or note is None or note.incarnation != incarnation or note.sequence > sequence:
        incarnation = identity
        tx.set_meta(_INCARNATION, incarnation)
    return History(incarnation, sequence)
