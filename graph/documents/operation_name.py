"""Names of operations for metrics: taken from the schema, never from the client, so their number is bounded."""

from graphql import DocumentNode, FieldNode, GraphQLSchema, OperationDefinitionNode

from graph.ast_walk import fragments_of, selections

NO_OPERATION = "none"
"""The name if a request has no operation, or none that the schema defines."""

_INTROSPECTION = frozenset({"__schema", "__type", "__typename"})


def operation_name(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> str:
    """Return the type of an operation and the first root field that it selects, such as `query snapshot`."""
    root = schema.get_root_type(operation.operation)
    nodes = selections(operation.selection_set, fragments_of(document), set())
    name = next((node.name.value for node in nodes if isinstance(node, FieldNode)), None)
    if root is None or name is None or (name not in root.fields and name not in _INTROSPECTION):
        return NO_OPERATION
    return f"{operation.operation.value} {name}"
