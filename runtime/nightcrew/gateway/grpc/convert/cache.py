"""A bounded cache of what was converted: the least recently used goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Values by keys, at most `size` of them."""

    __slots__ = ("_kept", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value that is kept, or a new one."""
        kept = self._kept
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        made = kept[key] = make()
        if len(kept) > self._size:
            kept.popitem(last=False)
        return made

    def __len__(self) -> int:
        return len(self._kept)
