"""The cost of an operation: an upper bound of the number of objects in its response, known before it is executed.

A field that returns an object costs 1. A field that returns a list of objects costs the number of items requested: the
argument `first` or `last`, or the number of keys given; for some lists that of `SIZES`, and 10 if nothing is known.
The fields selected on each item multiply. If variables give these numbers, the cost is computed for every request,
otherwise once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    value_from_ast_untyped,
)

from graph.ast_walk import fragments_of, selections
from graph.limits.limits import Limits, OverLimit
from storage import CHANGE_BUCKETS, MAX_LISTS

DEFAULT_LIST_SIZE = 10
"""The assumed number of items in a list if no argument gives one."""

SIZES = {"timeline": 100, "exposures": 1000, "items": MAX_LISTS, "distribution": CHANGE_BUCKETS}
"""The assumed number of items of some lists, by field. Timelines also have a limit on their look-ups, see `storage`."""

TIMELINE = "timeline"
OF_NO_VERSION = {TIMELINE, "lowest"}
"""Fields of a price that are the same for each of its versions: within a timeline they would only multiply."""

_COUNTS = ("last", "first")
_KEYS = ("skus", "lines")

Variables = dict[str, Any]
Count = Callable[[Variables], int]
"""Returns a number of objects for the variables of a request."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that returns objects: `size` of them for each of its parents.

    `requested` is the number of records that its arguments request, None if it has no such arguments. The pages of a
    connection, its `nodes` and `edges`, have that size.
    """

    name: str
    size: Count
    requested: Count | None
    children: Sequence["_Field"]


class Cost:
    """The cost of an operation of a valid document."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, limits: Limits
    ) -> None:
        self._limits = limits
        self._schema = schema
        self._fragments = fragments_of(document)
        self._depends_on_variables = False
        self._is_within_limits = False
        self._nested: str | None = None
        root = schema.get_root_type(operation.operation)
        self._fields = self._object_fields([root], operation.selection_set, None, in_timeline=False) if root else []

    def check(self, variables: Variables) -> None:
        """Check that the operation is within the limits with these variables, which are coerced. Raises `OverLimit`."""
        if self._is_within_limits:
            return
        if self._nested:
            message = (
                f"`{self._nested}` is selected within a `{TIMELINE}`, where it is the same for each period. Select it "
                f"once, beside that `{TIMELINE}`."
            )
            raise OverLimit("TIMELINE_NESTED", message)
        cost = sum(self._cost(field, variables) for field in self._fields)
        if cost > self._limits.cost:
            message = (
                f"The operation can return up to {cost} objects; the limit is {self._limits.cost}. "
                "Request smaller pages or fewer fields."
            )
            raise OverLimit("QUERY_TOO_COSTLY", message)
        self._is_within_limits = not self._depends_on_variables

    def _cost(self, field: _Field, variables: Variables) -> int:
        requested = field.requested(variables) if field.requested else 0
        if requested > self._limits.page:
            message = f"`{field.name}` requests {requested} records at once; the limit is {self._limits.page}."
            raise OverLimit("PAGE_TOO_LARGE", message)
        return field.size(variables) * (1 + sum(self._cost(child, variables) for child in field.children))

    def _object_fields(
        self,
        parents: Sequence[GraphQLObjectType],
        selection_set: SelectionSetNode,
        requested: Count | None,
        *,
        in_timeline: bool,
    ) -> list[_Field]:
        """Return the fields of a selection set that return objects. `requested` is that of the field around it.

        Of an interface, `parents` are all types that implement it, whatever types its fragments name.
        """
        found: list[_Field] = []
        for node in selections(selection_set, self._fragments, visited=None):
            if isinstance(node, FieldNode) and node.selection_set:
                if in_timeline and node.name.value in OF_NO_VERSION:
                    self._nested = node.name.value
                for parent in parents:
                    definition = self._schema.get_field(parent, node.name.value)
                    if definition:
                        found.append(
                            self._field(definition, node, node.selection_set, requested, in_timeline=in_timeline)
                        )
        return found

    def _field(
        self,
        definition: GraphQLField,
        node: FieldNode,
        selection_set: SelectionSetNode,
        requested_by_parent: Count | None,
        *,
        in_timeline: bool,
    ) -> _Field:
        requested = self._requested(definition, node)
        size = (_size_of(node) or requested or requested_by_parent or _default_size) if _is_list(definition) else _one
        in_timeline = in_timeline or node.name.value == TIMELINE
        types = self._object_types(definition)
        children = self._object_fields(types, selection_set, requested, in_timeline=in_timeline)
        return _Field(node.name.value, size, requested, children)

    def _object_types(self, definition: GraphQLField) -> Sequence[GraphQLObjectType]:
        type_ = get_named_type(definition.type)
        if is_abstract_type(type_):
            return self._schema.get_possible_types(type_)
        return [type_] if isinstance(type_, GraphQLObjectType) else []

    def _requested(self, definition: GraphQLField, node: FieldNode) -> Count | None:
        """Return the number of records that the arguments of a field request; None if it has no such arguments."""
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        counts = [name for name in _COUNTS if name in definition.args]
        keys = [name for name in _KEYS if name in definition.args]
        if not counts and not keys:
            return None
        if any(isinstance(arguments.get(name), VariableNode) for name in (*counts, *keys)):
            self._depends_on_variables = True
        default = definition.args["first"].default_value if "first" in counts else DEFAULT_LIST_SIZE

        given = [_given(arguments[name]) for name in (*counts, *keys) if name in arguments]

        def count(variables: Variables) -> int:
            for value in given:
                size = _size(variables.get(value)) if isinstance(value, str) else value
                if size is not None:
                    return size
            return default if isinstance(default, int) else DEFAULT_LIST_SIZE

        return count


def _given(node: ValueNode) -> int | str | None:
    """Return the number of records that an argument requests, or the name of the variable that has it."""
    if isinstance(node, VariableNode):
        return node.name.value
    return len(node.values) if isinstance(node, ListValueNode) else _size(value_from_ast_untyped(node))


def _size(value: Any) -> int | None:
    if isinstance(value, int):
        return max(value, 0)
    return len(value) if isinstance(value, list) else None


def _is_list(definition: GraphQLField) -> bool:
    type_ = definition.type
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)


def _size_of(node: FieldNode) -> Count | None:
    size = SIZES.get(node.name.value)
    return None if size is None else lambda _: size


def _one(_: Variables) -> int:
    return 1


def _default_size(_: Variables) -> int:
    return DEFAULT_LIST_SIZE
