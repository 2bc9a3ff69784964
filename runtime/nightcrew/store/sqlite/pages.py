"""Pages by keyset: a page begins after the last row of the one before, whatever was added meanwhile."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.filter import Order
from nightcrew.domain.page import ListQuery, page_size
from nightcrew.store.sqlite.filters import Field, where
from nightcrew.store.sqlite.resources import Resource

# ruff: noqa: S608 - the SQL is put together from the resources' constants; values are parameters

_BEFORE_ALL: Final = -(2**63)
"""Stands for an unset time in an order: before every time there is."""


@dataclass(frozen=True, slots=True)
class _Key:
    sql: str
    descending: bool


@dataclass(frozen=True, slots=True)
class PageSelect:
    """The SQL of one page; it asks for a row more than the page holds, to see whether there is another."""

    sql: str
    values: list[Any]
    size: int
    keys: int
    digest: str

    def split(self, rows: Sequence[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], str]:
        """The page's rows (without the keys), and the token of the next page if there is one."""
        page = [row[: -self.keys] for row in rows[: self.size]]
        if len(rows) <= self.size:
            return page, ""
        return page, _token(self.digest, rows[self.size - 1][-self.keys :])


def page_select(resource: Resource, query: ListQuery) -> PageSelect:
    """The SQL for a page of a resource.

    Raises:
        InvalidArgument: A field that can't be filtered or ordered by, or a token that is not of this list.
    """
    order = query.order or (resource.default,)
    keys = _keys(resource, order)
    size = page_size(query.page_size)
    digest = _digest(resource, query, order)
    conditions: list[str] = []
    values: list[Any] = []
    if query.where is not None:
        sql, some = where(query.where, resource.fields)
        conditions.append(sql)
        values += some
    if query.page_token:
        sql, some = _after(keys, _read(query.page_token, digest, len(keys)))
        conditions.append(sql)
        values += some
    matching = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    ordering = ", ".join(f"{key.sql} DESC" if key.descending else key.sql for key in keys)
    return PageSelect(
        sql=f"SELECT {resource.columns}, {', '.join(key.sql for key in keys)} FROM {resource.table}{matching}"
        f" ORDER BY {ordering} LIMIT ?",
        values=[*values, size + 1],
        size=size,
        keys=len(keys),
        digest=digest,
    )


def _keys(resource: Resource, order: Sequence[Order]) -> list[_Key]:
    keys = []
    for one in order:
        field = resource.orders.get(one.field)
        if field is None:
            known = ", ".join(sorted(resource.orders))
            raise InvalidArgument.of("order_by", f"{one.field!r} is no order of {resource.name}; use {known}")
        keys.append(_Key(_ordered(field), one.descending))
    return [*keys, _Key(resource.key, order[-1].descending)]


def _ordered(field: Field) -> str:
    return f"coalesce({field.sql}, {_BEFORE_ALL})" if field.nullable else field.sql


def _after(keys: Sequence[_Key], last: Sequence[Any]) -> tuple[str, list[Any]]:
    """The rows that come after one: later in the first key, or equal in it and later in the next, and so on."""
    sql = "0"
    values: list[Any] = []
    for key, value in zip(reversed(keys), reversed(last), strict=True):
        operator = "<" if key.descending else ">"
        sql = f"({key.sql} {operator} ? OR ({key.sql} = ? AND {sql}))"
        values = [value, value, *values]
    # Implied by the rest, but in a form that an index can begin at.
    first = keys[0]
    return f"{first.sql} {'<=' if first.descending else '>='} ? AND {sql}", [last[0], *values]


def _digest(resource: Resource, query: ListQuery, order: Sequence[Order]) -> str:
    text = repr((resource.name, query.where, tuple(order)))
    return hashlib.blake2b(text.encode(), digest_size=9).hexdigest()


def _token(digest: str, last: Sequence[Any]) -> str:
    text = json.dumps([digest, *last], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(token: str, digest: str, keys: int) -> list[Any]:
    try:
        given = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        given = None
    if not (
        isinstance(given, list)
        and len(given) == keys + 1
        and all(isinstance(one, str) or (type(one) is int and -(2**63) <= one < 2**63) for one in given)
    ):
        raise InvalidArgument.of("page_token", "is not a token that this service gave out; begin without one")
    if given[0] != digest:
        raise InvalidArgument.of(
            "page_token", "belongs to another filter or order_by; keep them the same from page to page"
        )
    return given[1:]
