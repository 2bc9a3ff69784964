"""Lengths of time and instants as people type them: `10s`, `1h30m`, `2026-11-01T09:00:00Z`."""

from datetime import datetime, timedelta

from nightcrew.cli.refusal import WrongUse
from nightcrew.domain.durations import parse_typed


def duration(text: str, option: str) -> timedelta:
    """A length such as `10s`, `500ms`, `1h30m`, `2d`; `option` is named in the error (exit code 2)."""
    try:
        return parse_typed(text)
    except ValueError as error:
        raise WrongUse(option, str(error)) from None


def optional_duration(text: str | None, option: str) -> timedelta | None:
    """The same; None when nothing was given."""
    return None if text is None else duration(text, option)


def instant(text: str, option: str) -> datetime:
    """An instant with its zone, such as `2026-11-01T09:00:00Z`; `option` is named in the error (exit code 2)."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        what = f"{text!r} is no time with a zone; write 2026-11-01T09:00:00Z or 2026-11-01T09:00+01:00"
        raise WrongUse(option, what)
    return found


def optional_instant(text: str | None, option: str) -> datetime | None:
    """The same; None when nothing was given."""
    return None if text is None else instant(text, option)


def length(value: timedelta) -> str:
    """A length for people: `0.42s`, `12s`, `3m05s`, `2h07m`, `3d04h`."""
    seconds = value.total_seconds()
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the fraction matters
        return f"{seconds:.2f}s"
    whole = int(seconds)
    for size, unit, below, part in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // below:02d}{part}"
    return f"{whole}s"
