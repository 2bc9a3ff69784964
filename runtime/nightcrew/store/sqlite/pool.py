"""A few connections that only read, each with its own thread: a slow list holds up neither writer nor loop."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from nightcrew.domain.errors import StoreError
from nightcrew.store.sqlite.connection import Reader, open_reader
from nightcrew.store.sqlite.faults import Damage, translated

READERS: Final = 3


class ReaderPool:
    """Runs one SELECT at a time on each connection; the one used last is used next, for its warm cache."""

    def __init__(
        self,
        path: Path,
        *,
        size: int = READERS,
        connect: Callable[[Path], Awaitable[Reader]] = open_reader,
        damage: Damage | None = None,
    ) -> None:
        self._path = path
        self._damage = damage or Damage()
        self._connect = connect
        self._size = size
        self._all: list[Reader] = []
        self._free: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()

    @property
    def busy(self) -> bool:
        """Whether a SELECT is under way."""
        return self._free.qsize() < len(self._all)

    async def open(self) -> None:
        """Opens the connections.

        Raises:
            StoreError: One can't be opened; none is left open.
        """
        self._free = asyncio.LifoQueue()
        try:
            for _ in range(self._size):
                connection = await self._connect(self._path)
                self._all.append(connection)
                self._free.put_nowait(connection)
        except sqlite3.Error as error:
            await self.close()
            raise translated(error, self._path) from error

    async def close(self) -> None:
        """Closes the connections after what they are doing."""
        connections, self._all = self._all, []
        for connection in connections:
            await connection.close()

    async def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one SELECT, in one hop to a connection's thread.

        Raises:
            StoreError: The file can't be read, or the pool is not open.
        """
        if not self._all:
            raise StoreError("the store is not open", metadata={"cause": "closed"})
        connection = await self._free.get()
        try:
            rows = await connection.execute_fetchall(sql, values)
        except sqlite3.Error as error:
            told = translated(error, self._path)
            self._damage.look(told)
            raise told from error
        except ValueError as error:
            raise StoreError("the store was closed", metadata={"cause": "closed"}) from error
        finally:
            # If this caller was cancelled the SELECT goes on; the next one queues behind it in the thread.
            self._free.put_nowait(connection)
        return rows  # type: ignore[return-value]  # typed as any iterable of rows; it is fetchall's list of tuples
