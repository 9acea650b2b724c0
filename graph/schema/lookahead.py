"""Look-ahead: the version that the cursors below a `snapshot` field name, found before the field is resolved.

It keeps pagination on one version: without it, a client that pages through `snapshot { prices(after:) }` while a batch
is published would receive a page of one version under the number of another.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
)

from graph import cursors
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
    told: set[str] = set()
    versions = {
        cursor.version
        for node in raw.field_nodes
        for text in _cursors(node.selection_set, raw.fragments, variables, told)
        if (cursor := cursors.decode_price(text, "after"))
    }
    if len(versions) > 1:
        raise InvalidArgument(
            f"The cursors belong to versions {', '.join(map(str, sorted(versions)))}, but a snapshot is a single "
            "version. Request each version with snapshot(version:)."
        )
    return versions.pop() if versions else None


def _cursors(
    selections: SelectionSetNode | None,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    told: set[str],
) -> Iterator[str]:
    """Yield the cursors below a selection; what is in a fragment once, however often it is spread."""
    for node in selections.selections if selections else ():
        if isinstance(node, FragmentSpreadNode):
            if node.name.value not in told:
                told.add(node.name.value)
                yield from _cursors(fragments[node.name.value].selection_set, fragments, variables, told)
        elif isinstance(node, InlineFragmentNode):
            yield from _cursors(node.selection_set, fragments, variables, told)
        elif isinstance(node, FieldNode) and node.name.value == "prices":
            for argument in node.arguments or ():
                if argument.name.value in _CURSORS:
                    value = argument.value
                    given = variables.get(value.name.value) if isinstance(value, VariableNode) else None
                    text = value.value if isinstance(value, StringValueNode) else given
                    if isinstance(text, str):
                        yield text
