"""What a resolver has at hand: the loaders of its request, the acts of storage, and who asks."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import strawberry
from graphql.pyutils import Path

from graph.drain import Drain
from graph.identity.callers import Caller
from loaders import Loaders, PointerCache
from storage import Batch, BatchNotFound, ListFilter, Snapshot, Store

T = TypeVar("T")

# What a resolver returns that answers at once where it can: graphql-core awaits what is left.
Answer: TypeAlias = T | Awaitable[T | None] | None


@dataclass(slots=True)
class Context:
    """Made for each request. `store` is for what changes something; what reads goes through `loaders`.

    `drain` tells when what is followed has to end. `versions` tells of which version the prices below a place of the
    answer are: a price itself does not know, for it is shared by all versions that have it.
    """

    store: Store
    pointers: PointerCache
    loaders: Loaders
    caller: Caller
    drain: Drain = field(default_factory=Drain)
    versions: dict[Path, Snapshot] = field(default_factory=dict)

    def version_at(self, path: Path) -> Snapshot:
        """Return the version that a price belongs to, by its place in the answer."""
        place: Path | None = path
        while place is not None:
            if place in self.versions:
                return self.versions[place]
            place = place.prev
        raise AssertionError(f"No version was noted for the prices at {path.as_list()}.")

    def renew(self) -> None:
        """Begin to see the present: for the next event of a subscription."""
        self.loaders = Loaders(self.store, self.pointers)

    def anew(self) -> "Context":
        """Return the context of another operation of the same caller."""
        loaders = Loaders(self.store, self.pointers, self.loaders.view.min_versions)
        return Context(self.store, self.pointers, loaders, self.caller, self.drain)

    async def batch_within(self, reach: ListFilter, batch_id: str) -> Batch:
        """Return a batch. Raises `BatchNotFound`, also where its list is out of reach."""
        batch = await self.loaders.batches.load(batch_id)
        if batch is None or batch.price_list not in reach:
            raise BatchNotFound(batch_id)
        return batch

    async def see_anew(self, price_list: str) -> None:
        """Let this process, and this request, see the pointer that a mutation has just moved."""
        await self.pointers.switch_to(await self.store.price_lists.get(price_list))
        self.loaders.view.forget(price_list)


Info = strawberry.Info[Context, None]
