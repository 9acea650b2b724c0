"""The caller of the API, and what it may do."""

from collections.abc import Sequence
from dataclasses import dataclass

import strawberry

from graph.identity.callers import Caller as RequestCaller
from graph.identity.requires import as_parent
from graph.identity.scopes import Scope
from graph.types.enums import describe_enum
from storage import ListFilter

describe_enum(
    Scope,
    "What a grant allows. Each scope includes `PRICES_READ`, and `ADMIN` includes all others.",
    {
        Scope.PRICES_READ: "To read published versions. The scope `prices:read` of credentials.",
        Scope.BATCHES_WRITE: "To send batches, and to see what is unpublished. The scope `batches:write`.",
        Scope.SNAPSHOTS_OPERATE: "To review batches, roll back and pin, and to see what is unpublished. The scope "
        "`snapshots:operate`.",
        Scope.ADMIN: "To do everything: price lists are created, changed and deleted with it. The scope `admin`.",
    },
)

Root = strawberry.Parent[RequestCaller]


@dataclass(frozen=True, slots=True)
class GrantedScope:
    """A scope for one list, for the lists with a prefix, or for all lists."""

    scope: Scope
    price_list: str | None = None
    price_list_prefix: str | None = None


@strawberry.type(
    description="A scope that is granted for some price lists. If both `priceList` and `priceListPrefix` are null, it "
    "is granted for all price lists."
)
class Grant:
    """The GraphQL type of `GrantedScope`."""

    scope: Scope = strawberry.field(description="The scope.")
    price_list: strawberry.ID | None = strawberry.field(
        description="The name of the only price list for which the scope is granted. It need not exist."
    )
    price_list_prefix: str | None = strawberry.field(
        description="The prefix of the names of the price lists for which the scope is granted, future ones included."
    )


@strawberry.type(description="The caller of a request, as its credentials identify it.")
class Caller:
    """The GraphQL type of `graph.identity.callers.Caller`."""

    name: str = strawberry.field(
        description="The name of the API key or the subject of the token, as events name it in `by`. `anonymous` for a "
        "caller without credentials; no other caller has this name."
    )

    @strawberry.field(
        description="What the caller may do: a grant for each scope and price list, prefix, or all price lists. Scopes "
        "that another one includes are listed too. A scope that is granted for all price lists is listed once.",
        graphql_type=list[Grant],
    )
    @staticmethod
    @as_parent
    def grants(root: Root) -> Sequence[GrantedScope]:
        """Return the grants of the caller, in the order of scopes."""
        return [grant for scope in Scope for grant in _grants(scope, root.grants.lists(scope))]


def _grants(scope: Scope, lists: ListFilter) -> Sequence[GrantedScope]:
    if lists.everything:
        return [GrantedScope(scope)]
    return [
        *(GrantedScope(scope, price_list=name) for name in sorted(lists.names)),
        *(GrantedScope(scope, price_list_prefix=prefix) for prefix in lists.prefixes),
    ]
