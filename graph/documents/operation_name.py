"""What an operation is called where operations are counted: a bounded number of names, none of them the client's."""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
)

NONE = "none"
"""The name where a request asks for no operation that the schema has."""

_INTROSPECTION = frozenset({"__schema", "__type", "__typename"})


def name_of(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> str:
    """Return the kind of an operation and the first field of the schema's root that it selects, as `query snapshot`."""
    root = schema.get_root_type(operation.operation)
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    field = next(_fields(operation.selection_set, fragments), None)
    if root is None or field is None or (field not in root.fields and field not in _INTROSPECTION):
        return NONE
    return f"{operation.operation.value} {field}"


def _fields(selected: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]) -> Iterator[str]:
    """Yield the fields of a selection in their order; a fragment that holds itself is entered once."""
    for selection in selected.selections:
        if isinstance(selection, FieldNode):
            yield selection.name.value
        elif isinstance(selection, FragmentSpreadNode):
            fragment = fragments.pop(selection.name.value, None)
            if fragment:
                yield from _fields(fragment.selection_set, fragments)
        else:
            yield from _fields(selection.selection_set, fragments)  # type: ignore[attr-defined]
