"""How deep and how wide a document is, its fragments spread. It is walked before it is validated, which costs more."""

from collections.abc import Sequence
from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
)

from graph.limits.limits import Limits, OverLimit


class _Open(NamedTuple):
    """Selections that are still to be walked, and how deep they stand."""

    selections: Sequence[SelectionNode]
    depth: int


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Return for a document within the limits. Raises `OverLimit`.

    What fragments spread to counts as often as it is spread, up to the limit of tokens: fragments within fragments can
    make more of a short document than could ever be walked.
    """
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            _check(definition, fragments, limits)


def _check(operation: OperationDefinitionNode, fragments: dict[str, FragmentDefinitionNode], limits: Limits) -> None:
    seen = aliases = 0
    open_ = [_Open(operation.selection_set.selections, 1)]
    while open_:
        selections, depth = open_.pop()
        if depth > limits.depth:
            raise OverLimit("QUERY_TOO_DEEP", f"Fields may be nested {limits.depth} deep; here are more.")
        for node in selections:
            seen += 1
            if seen > limits.tokens:
                message = (
                    f"With its fragments spread, the operation has over {limits.tokens} fields; ask for less at once."
                )
                raise OverLimit("QUERY_TOO_LARGE", message)
            if isinstance(node, FieldNode):
                aliases += node.alias is not None
                if node.selection_set:
                    open_.append(_Open(node.selection_set.selections, depth + 1))
            elif isinstance(node, InlineFragmentNode):
                open_.append(_Open(node.selection_set.selections, depth))
            elif isinstance(node, FragmentSpreadNode) and node.name.value in fragments:
                open_.append(_Open(fragments[node.name.value].selection_set.selections, depth))
    if aliases > limits.aliases:
        message = (
            f"The operation has {aliases} aliases, and {limits.aliases} are allowed. Ask for lists of keys instead."
        )
        raise OverLimit("TOO_MANY_ALIASES", message)
