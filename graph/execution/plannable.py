"""What of a document decides how it is executed: its conditions, and whether it can be planned."""

from collections.abc import Iterator, Mapping, Sequence

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    VariableNode,
)

_CONDITIONS = frozenset({"skip", "include"})
_INTROSPECTION = frozenset({"__schema", "__type"})


class Unplannable(Exception):
    """A document asks for what plans do not know."""


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return a document's fragments by name."""
    return {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def condition_variables(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> tuple[str, ...]:
    """Return the variables that decide which of an operation's fields are selected.

    Raises `Unplannable` for anything but queries, for introspection, and for directives and parts of the language
    other than those of the specification.
    """
    if operation.operation is not OperationType.QUERY or operation.directives:
        raise Unplannable
    found: dict[str, None] = {}
    for directive in _directives(operation, fragments):
        if directive.name.value not in _CONDITIONS:
            raise Unplannable
        for argument in directive.arguments or ():
            if isinstance(argument.value, VariableNode):
                found[argument.value.name.value] = None
    return tuple(found)


def _directives(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[DirectiveNode]:
    spread: set[str] = set()
    waiting: list[Sequence[SelectionNode]] = [operation.selection_set.selections]
    while waiting:
        for node in waiting.pop():
            yield from node.directives or ()
            if isinstance(node, FragmentSpreadNode):
                if node.arguments:
                    raise Unplannable
                if (name := node.name.value) not in spread:
                    spread.add(name)
                    fragment = fragments[name]
                    if fragment.variable_definitions:
                        raise Unplannable
                    yield from fragment.directives or ()
                    waiting.append(fragment.selection_set.selections)
            elif isinstance(node, FieldNode | InlineFragmentNode):
                if isinstance(node, FieldNode) and node.name.value in _INTROSPECTION:
                    raise Unplannable
                if node.selection_set:
                    waiting.append(node.selection_set.selections)
