"""Resolvers that read an attribute of what their object refers to."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import strawberry

from graph.identity.requires import as_parent

_paths: dict[Callable[..., Any], str] = {}
"""The paths by resolver."""


def attribute(path: str) -> Callable[..., Any]:
    """Return a resolver that reads an attribute by its path from the object: `price.amount`.

    A plan reads it as any attribute, without a call.
    """
    get = attrgetter(path)

    @as_parent
    def resolve(root: strawberry.Parent[Any]) -> Any:
        return get(root)

    _paths[resolve] = path
    return resolve


def path_of(resolver: Callable[..., Any]) -> str | None:
    """Return the path of a resolver that `attribute` returned; None for others."""
    return _paths.get(resolver)
