"""Loading by key: the DataLoader that every other of this package is, except that of prices."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from strawberry.dataloader import DataLoader

K = TypeVar("K")
T = TypeVar("T")


class Loader(DataLoader[K, T]):
    """A DataLoader whose loads do not end with one of those who wait for them.

    Several parts of a request wait for the same key. An error in one of them cancels what is beside it, and a future
    that is awaited is cancelled with who awaits it: the other parts would be cancelled for an error that is not theirs.
    """

    def load(self, key: K) -> Awaitable[T]:
        """Return what a key stands for."""
        return asyncio.shield(super().load(key))
