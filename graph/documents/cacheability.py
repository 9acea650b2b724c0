"""Which operations versions alone answer, so that what they were answered with may be kept and shared.

A field that is not named in `PURE` is never shared: a new one has to be put there, by someone who has thought of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    ValueNode,
    get_named_type,
    value_from_ast_untyped,
)

PURE: Mapping[str, frozenset[str]] = {
    "Query": frozenset({"snapshot"}),
    "Snapshot": frozenset(
        {"priceList", "version", "size", "createdAt", "label", "price", "pricesBySku", "prices", "quote"}
    ),
    "Price": frozenset(
        {"sku", "amount", "currency", "tiers", "validFrom", "validUntil", "attributes", "unitAmount"},
    ),
    "PriceTier": frozenset({"minQuantity", "amount"}),
    "PriceConnection": frozenset({"edges", "nodes", "pageInfo", "totalCount"}),
    "PriceEdge": frozenset({"cursor", "node"}),
    "PageInfo": frozenset({"hasNextPage", "hasPreviousPage", "startCursor", "endCursor"}),
    "Quote": frozenset({"version", "lines", "total", "currency", "complete"}),
    "QuoteLine": frozenset({"sku", "quantity", "unitAmount", "amount"}),
}
"""By type, the fields that are a pure function of a version and their arguments; `__typename` is one everywhere."""


@dataclass(frozen=True, slots=True)
class SnapshotField:
    """A `snapshot` field as it stands in the document: the arguments that say which version is meant."""

    price_list: ValueNode
    version: ValueNode | None


@dataclass(frozen=True, slots=True)
class Cacheability:
    """What an operation that versions alone answer asks for: its `snapshot` fields, its variables' defaults."""

    snapshots: tuple[SnapshotField, ...]
    defaults: Mapping[str, Any]

    def followed(self, given: Mapping[str, Any]) -> set[str] | None:
        """Return the lists of which the current version is asked for, with these variables.

        Some more where a field is skipped, or where a cursor names its version. None where it cannot be told.
        """
        variables = {**self.defaults, **given}
        names = set()
        for field in self.snapshots:
            if field.version and value_from_ast_untyped(field.version, variables) not in (None, Undefined):
                continue
            name = value_from_ast_untyped(field.price_list, variables)
            if not isinstance(name, str):
                return None
            names.add(name)
        return names


def versioned(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Cacheability | None:
    """Return what an operation of a valid document asks of versions; None where it asks for anything else too."""
    if operation.operation is not OperationType.QUERY or schema.query_type is None:
        return None
    snapshots = []
    for parent, field in _fields(document, operation, schema.query_type):
        name = field.name.value
        if name == "__typename":
            continue
        if name not in PURE.get(parent.name, ()):
            return None
        if parent is schema.query_type:
            arguments = {argument.name.value: argument.value for argument in field.arguments or ()}
            snapshots.append(SnapshotField(arguments["priceList"], arguments.get("version")))
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value
    }
    return Cacheability(tuple(snapshots), defaults) if snapshots else None


def _fields(
    document: DocumentNode, operation: OperationDefinitionNode, root: GraphQLObjectType
) -> Iterator[tuple[GraphQLObjectType, FieldNode]]:
    """Yield every field of an operation with its parent's type; what is in a fragment once."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    told: set[str] = set()
    # A stack, for a chain of fragments may be longer than Python's.
    open_: list[tuple[GraphQLObjectType, SelectionSetNode]] = [(root, operation.selection_set)]
    while open_:
        parent, selections = open_.pop()
        for node in selections.selections:
            # Without interfaces and unions a fragment is of the type that it stands in.
            if isinstance(node, InlineFragmentNode):
                open_.append((parent, node.selection_set))
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name not in told:
                    told.add(name)
                    open_.append((parent, fragments[name].selection_set))
            elif isinstance(node, FieldNode):
                yield parent, node
                definition = parent.fields.get(node.name.value)
                inner = get_named_type(definition.type) if definition else None
                if isinstance(inner, GraphQLObjectType) and node.selection_set:
                    open_.append((inner, node.selection_set))
