"""Whether an operation can be executed by a plan, and the variables that decide which of its fields are selected."""

from collections.abc import Iterator

from graphql import DirectiveNode, FieldNode, FragmentSpreadNode, OperationDefinitionNode, OperationType, VariableNode

from graph.ast_walk import Fragments, walk

_CONDITIONS = frozenset({"skip", "include"})
_INTROSPECTION = frozenset({"__schema", "__type"})


class Unplannable(Exception):
    """The operation uses a feature that plans do not support."""


def condition_variables(operation: OperationDefinitionNode, fragments: Fragments) -> tuple[str, ...]:
    """Return the variables in the `@skip` and `@include` directives of an operation.

    Raises `Unplannable` for mutations and subscriptions, introspection, other directives, and fragment variables.
    """
    if operation.operation is not OperationType.QUERY or operation.directives:
        raise Unplannable
    variables: dict[str, None] = {}
    for directive in _directives(operation, fragments):
        if directive.name.value not in _CONDITIONS:
            raise Unplannable
        for argument in directive.arguments or ():
            if isinstance(argument.value, VariableNode):
                variables[argument.value.name.value] = None
    return tuple(variables)


def _directives(operation: OperationDefinitionNode, fragments: Fragments) -> Iterator[DirectiveNode]:
    visited: set[str] = set()
    for node, _, _ in walk(operation.selection_set, fragments, visited):
        if isinstance(node, FragmentSpreadNode) and node.arguments:
            raise Unplannable
        if isinstance(node, FieldNode) and node.name.value in _INTROSPECTION:
            raise Unplannable
        yield from node.directives or ()
    for name in visited:
        if fragments[name].variable_definitions:
            raise Unplannable
        yield from fragments[name].directives or ()
