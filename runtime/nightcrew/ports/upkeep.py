"""What looking after the store's file tells: a copy that was made, one that was put back, and what was found in it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

Progress = Callable[[int, int], None]
"""Told now and then, with the bytes that are done and those that are to be done."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup that is whole, checked and on disk.

    Attributes:
        path: The backup.
        size: Its bytes.
        seconds: How long it took: `copied` for the copy, `checked` for the check of it.
        sequence: The newest event in it.
        key: The copy of the key file; None if it was not asked for, or there is none.
        sealed: Whether it holds secrets, which open with the key alone.
    """

    path: Path
    size: int
    copied: float
    checked: float
    sequence: int
    key: Path | None
    sealed: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that is now the store's file.

    Attributes:
        path: The store's file.
        size: Its bytes.
        sequence: The newest event in it.
        aside: Where the file is that it replaced; None if there was none.
        key_aside: Where the key file is that the backup's replaced, if it did.
        key_missing: Whether it holds secrets and the folder has no key file.
    """

    path: Path
    size: int
    sequence: int
    aside: Path | None
    key_aside: Path | None
    key_missing: bool


class Severity(StrEnum):
    """What a finding means: nothing, something to know, something that is broken."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: Its name, for programs.
        severity: What it means.
        message: What was found.
        advice: What to do about it; empty if nothing.
    """

    check: str
    severity: Severity
    message: str
    advice: str = ""
