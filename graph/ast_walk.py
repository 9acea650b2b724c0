"""Walks over the selections of an operation, with fragments resolved.

Clients are not trusted: no walk recurses, so a long chain of fragments cannot exhaust the stack, and each step takes
constant time. With `visited` a walk enters each fragment once, which ends cycles and keeps it linear in the size of the
document. Without it a walk enters a fragment at every spread, and the caller has to limit the number of steps.
"""

from collections.abc import Iterator, Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
)

Fragments = Mapping[str, FragmentDefinitionNode]
"""The fragments of a document by name."""

Selected = tuple[SelectionNode, int, GraphQLObjectType | None]
"""A selection, the depth of its selection set (1 for the first), and the type on which it is selected."""


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return the fragments of a document by name."""
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def selections(
    selection_set: SelectionSetNode, fragments: Fragments, visited: set[str] | None
) -> Iterator[SelectionNode]:
    """Yield the selections of a selection set in document order, each fragment followed by its own selections.

    `visited` holds the names of the fragments entered so far; None enters a fragment at every spread. Undefined
    fragments are not entered.
    """
    stack = [iter(selection_set.selections)]
    while stack:
        for node in stack[-1]:
            yield node
            if isinstance(node, FieldNode):
                continue
            fragment: InlineFragmentNode | FragmentDefinitionNode | None = None
            if isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if visited is None or name not in visited:
                    fragment = fragments.get(name)
                    if visited is not None:
                        visited.add(name)
            elif isinstance(node, InlineFragmentNode):
                fragment = node
            if fragment is not None:
                stack.append(iter(fragment.selection_set.selections))
                break
        else:
            stack.pop()


def walk(
    selection_set: SelectionSetNode,
    fragments: Fragments,
    visited: set[str] | None,
    parent: GraphQLObjectType | None = None,
) -> Iterator[Selected]:
    """Yield the selections of a selection set, as `selections` does, and of all selection sets nested in it.

    `parent` is the type of the selection set. Without it, below undefined fields, and below fields of an interface,
    the parent type is None. A fragment has the type of the selection set that contains it: so it is of object types.
    """
    stack: list[tuple[SelectionSetNode, int, GraphQLObjectType | None]] = [(selection_set, 1, parent)]
    while stack:
        selection_set, depth, parent = stack.pop()
        for node in selections(selection_set, fragments, visited):
            yield node, depth, parent
            if isinstance(node, FieldNode) and node.selection_set:
                stack.append((node.selection_set, depth + 1, _object_type(node, parent)))


def _object_type(field: FieldNode, parent: GraphQLObjectType | None) -> GraphQLObjectType | None:
    definition = parent.fields.get(field.name.value) if parent else None
    type_ = get_named_type(definition.type) if definition else None
    return type_ if isinstance(type_, GraphQLObjectType) else None
