"""Depth, size and aliases of a document with its fragments spread, limited before the costlier validation."""

from graphql import DocumentNode, FieldNode, OperationDefinitionNode

from graph.ast_walk import Fragments, fragments_of, walk
from graph.limits.limits import Limits, OverLimit


def check_shape(document: DocumentNode, limits: Limits) -> None:
    """Check that the operations of a document are within the limits. Raises `OverLimit`.

    The selections of a fragment count at every spread, up to the limit on tokens: fragments that spread other
    fragments can expand a short document exponentially.
    """
    fragments = fragments_of(document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            _check(definition, fragments, limits)


def _check(operation: OperationDefinitionNode, fragments: Fragments, limits: Limits) -> None:
    aliases = 0
    for count, (node, depth, _) in enumerate(walk(operation.selection_set, fragments, visited=None), 1):
        if depth > limits.depth:
            raise OverLimit("QUERY_TOO_DEEP", f"Fields may be nested at most {limits.depth} levels deep.")
        if count > limits.tokens:
            message = f"With its fragments spread, the operation has more than {limits.tokens} fields. Request fewer."
            raise OverLimit("QUERY_TOO_LARGE", message)
        if isinstance(node, FieldNode) and node.alias is not None:
            aliases += 1
    if aliases > limits.aliases:
        message = (
            f"The operation has {aliases} aliases; the limit is {limits.aliases}. "
            "Use fields that take lists of keys instead."
        )
        raise OverLimit("TOO_MANY_ALIASES", message)
