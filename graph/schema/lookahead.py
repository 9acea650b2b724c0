"""Look-ahead: the version that the cursors below a `snapshot` field name, found before the field is resolved.

It keeps pagination on one version: without it, a client that pages through `snapshot { prices(after:) }` while a batch
is published would receive a page of one version under the number of another.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from graphql import FieldNode, StringValueNode, VariableNode

from graph import cursors
from graph.ast_walk import selections
from graph.context import Info
from storage import InvalidArgument

_CURSORS = frozenset({"after", "before"})


def version_of_cursors(info: Info) -> int | None:
    """Return the version that the cursors of the field's `prices` name; None without cursors.

    Raises `InvalidArgument` if they name several versions, or if one is malformed.
    """
    raw = info._raw_info
    # Strawberry passes plain values to resolvers; graphql-core wraps them in a container.
    variables = cast("Mapping[str, Any]", raw.variable_values)
    visited: set[str] = set()
    versions: set[int] = set()
    for field in raw.field_nodes:
        for node in selections(field.selection_set, raw.fragments, visited) if field.selection_set else ():
            if isinstance(node, FieldNode) and node.name.value == "prices":
                versions.update(_versions(node, variables))
    if len(versions) > 1:
        raise InvalidArgument(
            f"The cursors belong to versions {', '.join(map(str, sorted(versions)))}, but a snapshot is a single "
            "version. Request each version with snapshot(version:)."
        )
    return versions.pop() if versions else None


def _versions(field: FieldNode, variables: Mapping[str, Any]) -> Iterator[int]:
    """Yield the versions of the cursors in the arguments of a field."""
    for argument in field.arguments or ():
        if argument.name.value in _CURSORS:
            value = argument.value
            variable = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            text = value.value if isinstance(value, StringValueNode) else variable
            if isinstance(text, str) and (cursor := cursors.decode_price(text, "after")):
                yield cursor.version
