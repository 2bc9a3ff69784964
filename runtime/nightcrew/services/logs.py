"""The use case of reading what an execution said, a page at a time."""

from typing import Any, Final

from nightcrew.domain.errors import NotFound
from nightcrew.domain.filter_match import matches
from nightcrew.domain.log import LogEntry
from nightcrew.domain.page import MAX_PAGE_SIZE, ListQuery, Page
from nightcrew.ports.reads import Reads
from nightcrew.services.places import read_place, write_place

PAGE_BYTES: Final = 1024 * 1024
"""A page ends early when its texts are longer than this: a client's limit for a message is often 4 MiB."""
_LIST: Final = "log"


class LogService:
    """Reads logs; a page's token is the sequence of its last entry."""

    def __init__(self, *, reads: Reads) -> None:
        self._reads = reads

    async def page(self, execution_id: str, query: ListQuery) -> Page[LogEntry]:
        """A page of an execution's entries, oldest first.

        Raises:
            NotFound: There is no such execution.
            InvalidArgument: The token is none of ours.
        """
        after = read_place(query.page_token, _LIST) if query.page_token else 0
        if await self._reads.execution(execution_id) is None:
            raise NotFound("execution", execution_id)
        limit = query.page_size + 1 if query.where is None else MAX_PAGE_SIZE
        found: list[LogEntry] = []
        size = 0
        while True:
            entries = await self._reads.logs_after(execution_id, after, limit=limit)
            for entry in entries:
                if query.where is not None and not matches(query.where, _values(entry)):
                    continue
                size += len(entry.message)
                if found and (len(found) == query.page_size or size > PAGE_BYTES):
                    return Page(found, write_place(found[-1].sequence, _LIST))
                found.append(entry)
            if len(entries) < limit:
                return Page(found)
            after = entries[-1].sequence


def _values(entry: LogEntry) -> dict[str, Any]:
    return {
        "severity": entry.severity.value,
        "stream": entry.stream.value,
        "time": entry.time,
        "sequence": entry.sequence,
        "message": entry.message,
    }
