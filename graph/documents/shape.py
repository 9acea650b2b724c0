"""Depth, size and aliases of a document with its fragments spread, limited before the costlier validation."""

from collections.abc import Iterable

from graphql import (
    DocumentNode,
    FieldNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
)

from graph.ast_walk import Fragments, fragments_of, walk
from graph.limits.limits import Limits, OverLimit

MAX_OBJECT_FIELDS = 50
"""Number of fields of an object literal. No input type has half as many."""


def check_shape(document: DocumentNode, limits: Limits) -> int:
    """Check that the operations of a document are within the limits, and return the number of their fields.

    The selections of a fragment count at every spread and in every operation, up to the limit on tokens: fragments that
    spread other fragments can expand a short document exponentially. Raises `OverLimit`.
    """
    fragments = fragments_of(document)
    count = 0
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            count = _check(definition, fragments, limits, count)
    return count


def _check(operation: OperationDefinitionNode, fragments: Fragments, limits: Limits, before: int) -> int:
    """Check an operation. Return the number of its fields and of those `before` it."""
    count = before
    _check_values(definition.default_value for definition in operation.variable_definitions or ())
    aliases = 0
    for count, (node, depth, _) in enumerate(walk(operation.selection_set, fragments, visited=None), before + 1):
        if depth > limits.depth:
            raise OverLimit("QUERY_TOO_DEEP", f"Fields may be nested at most {limits.depth} levels deep.")
        if count > limits.tokens:
            message = f"With its fragments spread, the document has more than {limits.tokens} fields. Request fewer."
            raise OverLimit("QUERY_TOO_LARGE", message)
        if isinstance(node, FieldNode):
            aliases += node.alias is not None
            if node.arguments:
                _check_values(argument.value for argument in node.arguments)
    if aliases > limits.aliases:
        message = (
            f"The operation has {aliases} aliases; the limit is {limits.aliases}. "
            "Use fields that take lists of keys instead."
        )
        raise OverLimit("TOO_MANY_ALIASES", message)
    return count


def _check_values(values: Iterable[ValueNode | None]) -> None:
    stack = [*values]
    while stack:
        value = stack.pop()
        if isinstance(value, ListValueNode):
            stack += value.values
        elif isinstance(value, ObjectValueNode):
            if len(value.fields) > MAX_OBJECT_FIELDS:
                message = f"An object has {len(value.fields)} fields; the limit is {MAX_OBJECT_FIELDS}. Use variables."
                raise OverLimit("QUERY_TOO_LARGE", message)
            stack += [field.value for field in value.fields]
