"""A mapping of bounded size that drops its least recently used entries."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LRU(Generic[K, V]):
    """The most recently used entries: at most `capacity` of them or, with `weigh`, at most that weight in total.

    `get` and `put` count as use; `peek` and `in` do not. Values are not None. The weight of an entry must not change.
    """

    __slots__ = ("_entries", "_weigh", "capacity", "evictions", "peek", "weight")

    def __init__(self, capacity: int, weigh: Callable[[K, V], int] | None = None) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._weigh = weigh
        self.capacity = capacity
        self.weight = 0
        """Total weight of the entries; without `weigh`, their number."""
        self.evictions = 0
        """Number of entries dropped to make room for others."""
        self.peek: Callable[[K], V | None] = self._entries.get
        """Return the value of a key, or None. Does not count as use."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys, least recently used first."""
        return iter(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        try:
            self._entries.move_to_end(key)
        except KeyError:
            return None
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Set the value of a key. A value heavier than the capacity is not kept, and evicts nothing."""
        self.pop(key)
        weight = self._weigh(key, value) if self._weigh else 1
        if weight > self.capacity:
            return
        self._entries[key] = value
        self.weight += weight
        while self.weight > self.capacity:
            self.pop(next(iter(self._entries)))
            self.evictions += 1

    def pop(self, key: K) -> V | None:
        """Remove a key and return its value, or None."""
        value = self._entries.pop(key, None)
        if value is not None:
            self.weight -= self._weigh(key, value) if self._weigh else 1
        return value

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
        self.weight = 0
