"""What a resolver has at hand: the loaders of its request, the acts of storage, and who asks."""

from dataclasses import dataclass

import strawberry

from loaders import Heads, Loaders
from storage import Store


@dataclass(slots=True)
class Context:
    """Made for each request. `store` is for what changes something; what reads goes through `loaders`."""

    store: Store
    heads: Heads
    loaders: Loaders
    caller: str

    def renew(self) -> None:
        """Begin to see the present: for the next event of a subscription."""
        self.loaders = Loaders(self.store, self.heads)

    def anew(self) -> "Context":
        """Return the context of another operation of the same caller."""
        return Context(self.store, self.heads, Loaders(self.store, self.heads), self.caller)

    async def see_anew(self, price_list: str) -> None:
        """Let this process, and this request, see the pointer that a mutation has just moved."""
        self.heads.observe(await self.store.pointers.get(price_list))
        self.loaders.view.forget(price_list)


Info = strawberry.Info[Context, None]
