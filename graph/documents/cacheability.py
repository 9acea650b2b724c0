"""Which operations depend on versions of price lists alone, so that their responses can be cached and shared.

Only fields named in `PURE` can be shared: a new field is not, until someone decides that it may be and adds it there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    ValueNode,
    value_from_ast_untyped,
)

from graph.ast_walk import fragments_of, walk

PURE: Mapping[str, frozenset[str]] = {
    "Query": frozenset({"snapshot"}),
    "Snapshot": frozenset(
        {"id", "priceList", "version", "size", "createdAt", "label", "price", "pricesBySku", "prices", "quote"}
    ),
    "Price": frozenset(
        {
            "id",
            "priceList",
            "version",
            "sku",
            "amount",
            "currency",
            "tiers",
            "validFrom",
            "validUntil",
            "attributes",
            "unitAmount",
        },
    ),
    "PriceTier": frozenset({"minQuantity", "amount"}),
    "PriceConnection": frozenset({"edges", "nodes", "pageInfo", "totalCount"}),
    "PriceEdge": frozenset({"cursor", "node"}),
    "PageInfo": frozenset({"hasNextPage", "hasPreviousPage", "startCursor", "endCursor"}),
    "Quote": frozenset({"version", "lines", "total", "currency", "complete"}),
    "QuoteLine": frozenset({"sku", "quantity", "unitAmount", "amount"}),
}
"""By type, the fields that are a pure function of a version and their arguments. `__typename` is pure everywhere."""


@dataclass(frozen=True, slots=True)
class SnapshotField:
    """The arguments of a `snapshot` field that identify the version, as nodes of the document."""

    price_list: ValueNode
    version: ValueNode | None
    as_of: ValueNode | None

    def is_current(self, variables: dict[str, Any]) -> bool:
        """Whether the field reads the current version, unless a cursor names another one."""
        values = (value_from_ast_untyped(node, variables) for node in (self.version, self.as_of) if node)
        return all(value is None or value is Undefined for value in values)


@dataclass(frozen=True, slots=True)
class Cacheability:
    """The `snapshot` fields of a cacheable operation, its cursors, and the default values of its variables."""

    snapshots: tuple[SnapshotField, ...]
    cursors: tuple[ValueNode, ...]
    defaults: Mapping[str, Any]

    def lists(self, variables: Mapping[str, Any]) -> "ReadLists | None":
        """Return the price lists that the operation reads with these variables. None if a name is not a string.

        Lists of skipped fields, and of fields whose cursors name a version, are included too.
        """
        variables = {**self.defaults, **variables}
        named: set[str] = set()
        current: set[str] = set()
        for field in self.snapshots:
            name = value_from_ast_untyped(field.price_list, variables)
            if not isinstance(name, str):
                return None
            named.add(name)
            if field.is_current(variables):
                current.add(name)
        return ReadLists(named, current)


class ReadLists(NamedTuple):
    """The price lists that an operation reads, and those of which it reads the current version."""

    named: set[str]
    current: set[str]


def find_cacheability(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> Cacheability | None:
    """Return the cacheability of an operation of a valid document; None if its response must not be shared."""
    root = schema.query_type
    if operation.operation is not OperationType.QUERY or root is None:
        return None
    snapshots, cursors = [], []
    for field, _, parent in walk(operation.selection_set, fragments_of(document), set(), root):
        if not isinstance(field, FieldNode) or field.name.value == "__typename":
            continue
        if parent is None or field.name.value not in PURE.get(parent.name, ()):
            return None
        arguments = {argument.name.value: argument.value for argument in field.arguments or ()}
        cursors += [arguments[name] for name in ("after", "before") if name in arguments]
        if parent is root:
            snapshots.append(SnapshotField(arguments["priceList"], arguments.get("version"), arguments.get("asOf")))
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value
    }
    return Cacheability(tuple(snapshots), tuple(cursors), defaults) if snapshots else None
