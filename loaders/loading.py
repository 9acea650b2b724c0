"""Loading by key: the DataLoader that every other of this package is, except that of prices."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from strawberry.dataloader import DataLoader

K = TypeVar("K")
T = TypeVar("T")

Around = Callable[[str, int], AbstractContextManager[None]]
"""What stands around the load of a batch: it is told the loader's name, and how many keys there are."""

_NOTHING: AbstractContextManager[None] = nullcontext()
_around: Around | None = None


def around_batches(around: Around | None) -> None:
    """Let something stand around every load of this process from now on, or nothing any more."""
    global _around  # noqa: PLW0603 - as a logger is, for loaders are made for each request
    _around = around


def batch_load(loader: str, keys: int) -> AbstractContextManager[None]:
    """Return what stands around the load of so many keys."""
    return _NOTHING if _around is None else _around(loader, keys)


class Loader(DataLoader[K, T]):
    """A DataLoader whose loads do not end with one of those who wait for them.

    Several parts of a request wait for the same key. An error in one of them cancels what is beside it, and a future
    that is awaited is cancelled with who awaits it: the other parts would be cancelled for an error that is not theirs.
    """

    def __init__(self, load: Callable[[list[K]], Awaitable[Sequence[T]]], max_batch_size: int | None = None) -> None:
        async def load_batch(keys: list[K]) -> Sequence[T | BaseException]:
            with batch_load(type(self).__name__, len(keys)):
                return await load(keys)

        super().__init__(load_batch, max_batch_size=max_batch_size)

    def load(self, key: K) -> Awaitable[T]:
        """Return what a key stands for."""
        return asyncio.shield(super().load(key))
