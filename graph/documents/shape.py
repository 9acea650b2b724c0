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
    _check_values(definition.default_value for definition in operation.variable_definitions or ())
    aliases = 0
    for count, (node, depth, _) in enumerate(walk(operation.selection_set, fragments, visited=None), 1):
        if depth > limits.depth:
            raise OverLimit("QUERY_TOO_DEEP", f"Fields may be nested at most {limits.depth} levels deep.")
        if count > limits.tokens:
            message = f"With its fragments spread, the operation has more than {limits.tokens} fields. Request fewer."
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
