"""A walk stays on its version: which version the cursors below a `snapshot` field name, before it is resolved.

Without this a client that pages through `snapshot { prices(after:) }` while a batch is published would be given a
page of one version under the number of another.
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
    """Return the version that the cursors of the field's `prices` name; None where they have no cursor.

    Raises `InvalidArgument` when they name several, or when one is no cursor.
    """
    raw = info._raw_info
    # Strawberry gives resolvers the plain values, where graphql-core has a container of its own.
    variables = cast("Mapping[str, Any]", raw.variable_values)
    visited: set[str] = set()
    versions: set[int] = set()
    for field in raw.field_nodes:
        for node in selections(field.selection_set, raw.fragments, visited) if field.selection_set else ():
            if isinstance(node, FieldNode) and node.name.value == "prices":
                versions.update(_versions(node, variables))
    if len(versions) > 1:
        raise InvalidArgument(
            f"The cursors name versions {', '.join(map(str, sorted(versions)))}. A snapshot is of one version: "
            "ask for each as snapshot(version:)."
        )
    return versions.pop() if versions else None


def _versions(field: FieldNode, variables: Mapping[str, Any]) -> Iterator[int]:
    """Yield the versions of the cursors that a field is given."""
    for argument in field.arguments or ():
        if argument.name.value in _CURSORS:
            value = argument.value
            given = variables.get(value.name.value) if isinstance(value, VariableNode) else None
            text = value.value if isinstance(value, StringValueNode) else given
            if isinstance(text, str) and (cursor := cursors.read_price(text, "after")):
                yield cursor.version
