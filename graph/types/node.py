"""The interface of objects with a global id."""

import strawberry


@strawberry.interface(description="An object with a globally unique id.")
class Node:
    """An object with a global id, by the object identification specification of Relay."""

    id: strawberry.ID = strawberry.field(description="The globally unique id. Opaque: do not parse or construct it.")
