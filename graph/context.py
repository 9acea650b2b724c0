"""The context of a request: what its resolvers use."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import strawberry
from starlette.types import Scope

from graph.identity.callers import Caller
from loaders import Loaders, PointerCache
from storage import Batch, BatchNotFound, ListFilter, Store

T = TypeVar("T")

MaybeAwaitable: TypeAlias = T | Awaitable[T | None] | None
"""The result of a resolver that needs to be awaited only if it is not in memory."""


ContextFactory: TypeAlias = Callable[[Scope], "Context"]
"""Creates the context of a request or operation from the scope of its connection, with its `RequestState`."""


@dataclass(slots=True)
class Context:
    """The context of one request or operation. Resolvers read through `loaders` and write through `store`."""

    store: Store
    pointers: PointerCache
    loaders: Loaders
    caller: Caller

    def renew(self) -> None:
        """Replace the loaders, so that the next event of a subscription reads current data."""
        preview = self.loaders.view.preview
        self.loaders = Loaders(self.store, self.pointers, works_on=self.caller.works_on, preview=preview)

    async def batch_within(self, lists: ListFilter, batch_id: str) -> Batch:
        """Return a batch. Raises `BatchNotFound`, also if its list is not among `lists`."""
        batch = await self.loaders.batches.load(batch_id)
        if batch is None or batch.price_list not in lists:
            raise BatchNotFound(batch_id)
        return batch

    async def refresh_pointer(self, price_list: str) -> None:
        """Make this process and this request read the pointer that a mutation has just moved."""
        pointer = await self.store.price_lists.get(price_list)
        await self.switch_to({price_list: pointer.revision})

    async def switch_to(self, revisions: Mapping[str, int]) -> None:
        """Make this process and this request read revisions of pointers that a mutation has written, or later ones."""
        await self.pointers.switch_to(revisions)
        self.loaders.view.renew()


Info = strawberry.Info[Context, None]
