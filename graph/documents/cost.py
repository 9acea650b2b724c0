"""The cost of an operation: how many objects it may answer with, known before it is executed.

A field that answers with an object costs 1; one that answers with a list as many as are asked for, by `first` or `last`
or by the keys that it is given, and 10 where nothing says how many. What stands within costs that many times as much.
Where a variable says how many, the cost is counted for each request; otherwise once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
    get_named_type,
    value_from_ast_untyped,
)

from graph.limits.limits import Limits, OverLimit

DEFAULT_LIST_SIZE = 10
"""What a list is taken to have where nothing says how many."""

_COUNTS = ("last", "first")
_KEYS = ("skus", "lines")

Variables = dict[str, Any]
Size = Callable[[Variables], int]


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that answers with objects: `size` of them in each of its parents.

    `asked` tells how many records it is asked for by its arguments, which a connection has in its pages; None where
    they do not say.
    """

    name: str
    size: Size
    asked: Size | None
    inner: Sequence["_Field"]


class Cost:
    """The cost of an operation of a valid document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, limits: Limits
    ) -> None:
        self._limits = limits
        self._schema = schema
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._defaults = {
            definition.variable.name.value: value_from_ast_untyped(definition.default_value)
            for definition in operation.variable_definitions or ()
            if definition.default_value
        }
        self._varies = False
        self._is_within = False
        root = schema.get_root_type(operation.operation)
        self._fields = self._objects(root, operation.selection_set.selections, None) if root else []

    def check(self, given: Variables) -> None:
        """Return for variables with which the operation is within the limits. Raises `OverLimit`."""
        if self._is_within:
            return
        variables = {**self._defaults, **given}
        cost = sum(self._cost(field, variables) for field in self._fields)
        if cost > self._limits.cost:
            message = (
                f"The operation may answer with {cost} objects, and {self._limits.cost} are allowed. "
                "Ask for smaller pages, or for less at once."
            )
            raise OverLimit("QUERY_TOO_COSTLY", message)
        self._is_within = not self._varies

    def _cost(self, field: _Field, variables: Variables) -> int:
        asked = field.asked(variables) if field.asked else 0
        if asked > self._limits.page:
            message = f"`{field.name}` is asked for {asked} records at once, and {self._limits.page} are allowed."
            raise OverLimit("PAGE_TOO_LARGE", message)
        return field.size(variables) * (1 + sum(self._cost(inner, variables) for inner in field.inner))

    def _objects(
        self, parent: GraphQLObjectType, selections: Sequence[SelectionNode], asked: Size | None
    ) -> list[_Field]:
        """Return the fields of a selection that answer with objects; the parent was asked for so many records."""
        found: list[_Field] = []
        for node in selections:
            if isinstance(node, FieldNode):
                definition = self._schema.get_field(parent, node.name.value)
                type_ = get_named_type(definition.type) if definition else None
                if definition and isinstance(type_, GraphQLObjectType):
                    found.append(self._field(definition, type_, node, asked))
            elif isinstance(node, InlineFragmentNode):
                found += self._objects(parent, node.selection_set.selections, asked)
            elif isinstance(node, FragmentSpreadNode):
                found += self._objects(parent, self._fragments[node.name.value].selection_set.selections, asked)
        return found

    def _field(
        self, definition: GraphQLField, type_: GraphQLObjectType, node: FieldNode, parent: Size | None
    ) -> _Field:
        asked = self._asked(definition, node)
        size = (asked or parent or _unsaid) if _is_list(definition) else _one
        selections = node.selection_set.selections if node.selection_set else ()
        return _Field(node.name.value, size, asked, self._objects(type_, selections, asked))

    def _asked(self, definition: GraphQLField, node: FieldNode) -> Size | None:
        """Return what tells how many records the arguments of a field ask for; None where they cannot tell."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        counts = [name for name in _COUNTS if name in definition.args]
        keys = [name for name in _KEYS if name in definition.args]
        if not counts and not keys:
            return None
        self._varies = self._varies or any(isinstance(given.get(name), VariableNode) for name in (*counts, *keys))
        default = next(
            (definition.args[name].default_value for name in ("first",) if name in counts), DEFAULT_LIST_SIZE
        )

        def asked(variables: Variables) -> int:
            for name in (*counts, *keys):
                value = value_from_ast_untyped(given[name], variables) if name in given else None
                if isinstance(value, int):
                    return max(value, 0)
                if isinstance(value, list):
                    return len(value)
            return default if isinstance(default, int) else DEFAULT_LIST_SIZE

        return asked


def _is_list(definition: GraphQLField) -> bool:
    type_ = definition.type
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _one(_: Variables) -> int:
    return 1


def _unsaid(_: Variables) -> int:
    return DEFAULT_LIST_SIZE
