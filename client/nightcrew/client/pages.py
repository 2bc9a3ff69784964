"""Lists: an async iterator over everything that is found, and single pages for those who want them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """Some of what is found, in order; `next_page_token` is empty on the last page."""

    items: tuple[ItemT, ...]
    next_page_token: str = ""


class Pages(Generic[ItemT]):
    """What a list found; nothing is asked of the server until it is iterated.

    `async for item in pages` goes through everything, `async for page in pages.pages()` page by page, and
    `await pages.page(token)` gets one page. Iterating twice asks twice.
    """

    def __init__(self, fetch: Callable[[int, str], Awaitable[Page[ItemT]]], *, page_size: int) -> None:
        self._fetch = fetch
        self._page_size = page_size

    async def page(self, page_token: str = "", *, page_size: int | None = None) -> Page[ItemT]:
        """One page.

        Args:
            page_token: The `next_page_token` of the page before; empty for the first.
            page_size: At most so many items; the list's own by default.

        Raises:
            InvalidArgument: The token or the size is wrong.
        """
        return await self._fetch(self._page_size if page_size is None else page_size, page_token)

    async def pages(self) -> AsyncIterator[Page[ItemT]]:
        """All pages, each fetched when it is asked for."""
        token = ""
        while True:
            page = await self.page(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def take(self, limit: int) -> tuple[tuple[ItemT, ...], bool]:
        """The first `limit` items, and whether there are more; a limit of 0 is all.

        No page is larger than what is left to take, so that a short list costs a short answer.
        """
        taken: list[ItemT] = []
        token = ""
        while True:
            size = min(self._page_size or MAX_PAGE, limit - len(taken)) if limit else self._page_size
            page = await self.page(token, page_size=size)
            taken.extend(page.items)
            token = page.next_page_token
            if not token or (limit and len(taken) >= limit):
                return tuple(taken[:limit] if limit else taken), bool(token)
