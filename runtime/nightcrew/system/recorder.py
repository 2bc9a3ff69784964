"""What one execution says, gathered within bounds: entries go out at once, what is too much is counted."""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.log import LogStream, NewLogEntry, Severity
from nightcrew.domain.values import flaw

MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_MESSAGE: Final = 64 * 1024
MAX_FIELDS: Final = 64 * 1024
_MAX_VALUE: Final = 4096


class Recorder:
    """The entries of one attempt; safe to use from any thread.

    Args:
        now: The wall clock.
        emit: Takes one entry, in order; called under the recorder's lock, so it must not block.
        max_entries: Entries kept; later ones are counted and named by one mark at the end.
        max_bytes: Bytes of messages and fields kept, likewise.
    """

    __slots__ = (
        "_bytes",
        "_count",
        "_dropped",
        "_dropped_bytes",
        "_emit",
        "_limits",
        "_lock",
        "_now",
        "_partial",
        "closed",
    )

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        emit: Callable[[NewLogEntry], None],
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._now = now
        self._emit = emit
        self._limits = (max_entries, max_bytes)
        # Re-entrant: formatting a field may log, in the same thread.
        self._lock = threading.RLock()
        self._count = 0
        self._bytes = 0
        self._dropped = 0
        self._dropped_bytes = 0
        self._partial: dict[LogStream, str] = {}
        self.closed = False

    def add(
        self,
        message: str,
        *,
        severity: Severity = Severity.INFO,
        stream: LogStream = LogStream.LOG,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds one entry; after `close` it does nothing."""
        kept = plain_fields(fields) if fields else None
        with self._lock:
            if not self.closed:
                self._put(cut(message, MAX_MESSAGE), severity, stream, kept)

    def write(self, text: str, stream: LogStream) -> None:
        """Takes printed text: each full line is an entry, the rest waits for its end."""
        with self._lock:
            if self.closed:
                return
            *lines, rest = (self._partial.get(stream, "") + text).split("\n")
            for line in lines:
                self._put(cut(line.rstrip("\r"), MAX_MESSAGE), _PRINTED[stream], stream, None)
            if len(rest) > MAX_MESSAGE:
                self._put(cut(rest, MAX_MESSAGE), _PRINTED[stream], stream, None)
                rest = ""
            self._partial[stream] = rest

    def close(self) -> None:
        """Adds unfinished lines and the mark of what was left out; later entries are refused."""
        with self._lock:
            if self.closed:
                return
            for stream, rest in self._partial.items():
                if rest:
                    self._put(cut(rest, MAX_MESSAGE), _PRINTED[stream], stream, None)
            self.closed = True
            if self._dropped:
                entries, size = self._limits
                text = (
                    f"{self._dropped} log entries ({self._dropped_bytes} bytes) left out: an attempt keeps at "
                    f"most {entries} entries and {size} bytes"
                )
                self._emit(NewLogEntry(time=self._now(), message=text, severity=Severity.WARNING))

    def _put(
        self, message: str, severity: Severity, stream: LogStream, fields: dict[str, Any] | None
    ) -> None:
        size = len(message) + (len(json.dumps(fields)) if fields else 0)
        if self._count >= self._limits[0] or self._bytes + size > self._limits[1]:
            self._dropped += 1
            self._dropped_bytes += size
            return
        self._count += 1
        self._bytes += size
        self._emit(
            NewLogEntry(time=self._now(), message=message, severity=severity, stream=stream, fields=fields)
        )


_PRINTED: Final = {LogStream.STDOUT: Severity.INFO, LogStream.STDERR: Severity.WARNING}


def cut(text: str, limit: int) -> str:
    """The text, with lone surrogates replaced, cut with a mark when it is longer than `limit`."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} characters cut)"


def plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as JSON: what is no JSON value is shown by its `repr`, bounded; never raises."""
    kept = {cut(str(name), 256): _plain(value) for name, value in fields.items()}
    size = len(json.dumps(kept))
    if size > MAX_FIELDS:
        return {"fields_left_out": f"{len(kept)} fields of {size} bytes; an entry keeps at most {MAX_FIELDS}"}
    return kept


def _plain(value: object) -> Any:
    if isinstance(value, str):
        return cut(value, MAX_MESSAGE)
    try:
        if not flaw(value):
            return value
        return cut(repr(value), _MAX_VALUE)
    except Exception as error:  # noqa: BLE001 - any object's repr may raise; an entry must not
        return f"({type(value).__name__}: its repr raised {type(error).__name__})"
