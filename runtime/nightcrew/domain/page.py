"""Lists in pages: what is asked for and what is given."""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.filter import Expression, Order

T = TypeVar("T")

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What a list is asked for; `page_token` is the opaque text of the page before."""

    page_size: int = DEFAULT_PAGE_SIZE
    page_token: str = ""
    where: Expression | None = None
    order: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; `next_page_token` is empty on the last."""

    items: list[T]
    next_page_token: str = ""


def page_size(asked: int) -> int:
    """0 is the default, above the maximum is the maximum.

    Raises:
        InvalidArgument: It is negative.
    """
    if asked < 0:
        raise InvalidArgument.of("page_size", f"must not be negative, is {asked}")
    return min(asked, MAX_PAGE_SIZE) if asked else DEFAULT_PAGE_SIZE
